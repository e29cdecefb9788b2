//! What can go wrong with the database, in words for its operator.

use crate::core::journal::Unreadable;
use crate::core::ports::store::StoreError;
use rusqlite::{Error, ErrorCode};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why an order or a question came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Sql(#[from] Error),
    /// What it asks for cannot be done; the database is fine.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// SQLite has given up the whole transaction for it.
    #[error("the transaction is lost")]
    Lost,
    #[error("what is stored cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Journal(#[from] Unreadable),
}

impl Fault {
    /// There is no room on the disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }
}

/// How the database is doing, for whoever asks.
#[derive(Clone)]
pub struct Condition {
    file: Arc<Path>,
    /// What the last attempt to write has met, or a question since.
    trouble: Arc<Mutex<Option<String>>>,
    responses: Arc<AtomicU64>,
}

impl Condition {
    pub fn of(file: &Path) -> Self {
        Self { file: file.into(), trouble: Arc::default(), responses: Arc::default() }
    }

    pub fn responses(&self) -> u64 {
        self.responses.load(Ordering::Relaxed)
    }

    pub fn count(&self, responses: u64) {
        self.responses.store(responses, Ordering::Relaxed);
    }

    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something was written.
    pub fn well(&self) {
        if let Some(trouble) = self.set(None) {
            tracing::info!(trouble, "the store can be written to again");
        }
    }

    /// The fault for those who asked. One that the next order would meet too is remembered.
    pub fn note(&self, fault: Fault) -> StoreError {
        let text = match fault {
            Fault::Refused(refused) => return refused,
            Fault::Sql(error) => {
                let text = format!("{}: {}", self.file.display(), explain(&error));
                if is_trouble(&error) && self.set(Some(text.clone())).is_none() {
                    tracing::error!(trouble = text, "the store is in trouble");
                }
                text
            }
            fault => format!("{}: {fault}", self.file.display()),
        };
        StoreError::Failed(text)
    }

    fn set(&self, trouble: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.trouble.lock().unwrap_or_else(PoisonError::into_inner), trouble)
    }
}

/// Whether it is the database that is at fault, and not what was asked of it.
fn is_trouble(error: &Error) -> bool {
    use ErrorCode::*;
    let code = error.sqlite_error_code();
    code.is_some_and(|code| {
        matches!(
            code,
            DiskFull
                | ReadOnly
                | SystemIoFailure
                | DatabaseCorrupt
                | NotADatabase
                | CannotOpen
                | PermissionDenied
                | OutOfMemory
                | DatabaseBusy
                | DatabaseLocked
        )
    })
}

/// The error with what to do about it.
pub fn explain(error: &Error) -> String {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "there is no room left: make some on its disk",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "it cannot be written to: see to its owner and mode, and its file system"
        }
        Some(ErrorCode::SystemIoFailure) => "its disk fails to read or write",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: stop the daemon and see docs/durability.md"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds it",
        _ => return error.to_string(),
    };
    format!("{what} ({error})")
}
