//! Questions to the database, on connections that only read. Each sees all that was answered for before it was asked.

use super::fault::{Condition, Fault};
use super::opening::open_reader;
use crate::core::ports::store::StoreError;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// How many questions are asked at the same time.
const READERS: usize = 2;

pub struct Readers {
    shared: Arc<Shared>,
    free: Arc<Semaphore>,
}

struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    condition: Condition,
}

impl Readers {
    pub fn new(path: &Path, condition: Condition) -> Self {
        let shared = Shared { path: path.to_owned(), idle: Mutex::default(), condition };
        Self { shared: Arc::new(shared), free: Arc::new(Semaphore::new(READERS)) }
    }

    /// Asks on a thread for what blocks. A question is asked to its end, also if nobody waits for the answer any more.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let broken = |error: &dyn std::fmt::Display| StoreError::Failed(format!("a question broke off: {error}"));
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|error| broken(&error))?;
        let shared = Arc::clone(&self.shared);
        let asked = tokio::task::spawn_blocking(move || {
            let answer = shared.ask(question).map_err(|fault| shared.condition.note(fault));
            drop(permit);
            answer
        });
        asked.await.map_err(|error| broken(&error))?
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle().pop();
        let db = idle.map_or_else(|| open_reader(&self.path), Ok)?;
        // All of a question is about one moment.
        let moment = db.unchecked_transaction()?;
        let answer = question(&db)?;
        moment.finish()?;
        self.idle().push(db);
        Ok(answer)
    }
}
