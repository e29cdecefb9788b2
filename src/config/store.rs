//! `store:` where sessions, responses and runs are kept, and how much of them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{error::Problems, value};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub kind: StoreKind,
    /// The database file; `None` puts it into the data folder.
    pub path: Option<PathBuf>,
    /// Sessions remembered; the least recently used goes first.
    #[serde(deserialize_with = "value::number")]
    pub max_sessions: usize,
    /// Responses kept, of all keys together.
    #[serde(deserialize_with = "value::number")]
    pub max_responses: usize,
    /// Bytes of what the kept responses hold.
    #[serde(deserialize_with = "value::size")]
    pub max_bytes: usize,
    /// How long a response is kept that nobody uses; `None` for as long as there is room.
    #[serde(deserialize_with = "value::optional_duration")]
    pub max_age: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// One file that outlives the daemon.
    Sqlite,
    /// Gone when the daemon ends.
    Memory,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::Sqlite,
            path: None,
            max_sessions: 10_000,
            max_responses: 10_000,
            max_bytes: 1 << 30,
            max_age: None,
        }
    }
}

impl Store {
    /// Where the database is, if there is one.
    pub fn database(&self, data_dir: &Path) -> Option<PathBuf> {
        let usual = || data_dir.join("nuncio.db");
        (self.kind == StoreKind::Sqlite).then(|| self.path.clone().unwrap_or_else(usual))
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let over_zero = "expected more than 0";
        problems.expect(self.max_sessions > 0, "store.max_sessions", over_zero);
        problems.expect(self.max_responses > 0, "store.max_responses", over_zero);
        problems.expect(self.max_bytes > 0, "store.max_bytes", over_zero);
        problems.expect(self.max_age != Some(Duration::ZERO), "store.max_age", over_zero);
        let is_kept = self.kind == StoreKind::Sqlite;
        problems.expect(is_kept || self.path.is_none(), "store.path", "expected none, as `kind: memory` has no file");
    }
}
