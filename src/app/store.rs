//! The store that the configuration asks for.

use super::AppError;
use crate::config::Config;
use crate::core::ports::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{OpenError, Settings, SqliteStore};
use crate::system;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Opens it, which may make files. It is never another one than what was asked for: who wants a store that outlives the
/// daemon must not get one that does not.
pub fn open(config: &Config) -> Result<Arc<dyn Store>, AppError> {
    let Some(path) = config.store.database(&config.data_dir) else { return Ok(in_memory(config)) };
    system::private_folder(folder_of(&path)).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    let settings = Settings {
        max_sessions: config.store.max_sessions,
        max_responses: config.store.max_responses,
        max_bytes: config.store.max_bytes as u64,
        max_age: config.store.max_age,
        ..Settings::at(&path)
    };
    Ok(Arc::new(SqliteStore::open(&settings)?))
}

/// Sees whether it could be opened, and gives one to go on with that leaves no trace.
pub fn check(config: &Config) -> Result<Arc<dyn Store>, AppError> {
    let data_dir = &config.data_dir;
    system::check_folder(data_dir).map_err(|source| AppError::DataDir { path: data_dir.clone(), source })?;
    if let Some(path) = config.store.database(data_dir) {
        let usable = system::check_folder(folder_of(&path)).and_then(|()| system::check_file(&path));
        usable.map_err(|source| OpenError::Io { path, source })?;
    }
    Ok(in_memory(config))
}

fn in_memory(config: &Config) -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(NonZeroUsize::new(config.store.max_sessions).unwrap_or(NonZeroUsize::MIN)))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
