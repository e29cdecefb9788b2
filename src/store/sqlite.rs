//! The store in one SQLite file, which outlives the daemon.
//!
//! One thread writes ([`writer`]), two connections read ([`reader`]); what is answered for is on the disk, as far as its
//! [`Promise`] asks. `docs/durability.md` says what that means for whoever runs the daemon.

mod chains;
mod clock;
mod conversations;
mod eviction;
mod fault;
mod forest;
mod id;
mod items;
mod journals;
mod links;
mod lock;
mod notes;
mod opening;
mod reader;
mod runs;
mod schema;
mod sessions;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use opening::OpenError;

use crate::core::ports::journals::{Fence, Millis, Promise};
use crate::core::ports::store::{Chain, Fingerprint, Found, Health, ItemKey, Store, StoreError, StoredResponse, Turn};
use chains::Chains;
use clock::Clock;
use eviction::{Touched, Used};
use fault::{Condition, Fault};
use futures_util::future::BoxFuture;
use links::{Numbered, Written};
use lock::Lock;
use notes::Shelf;
use opening::{Opened, open};
use reader::Readers;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tables::{Limits, Tables};
use writer::Writer;

pub struct SqliteStore {
    path: PathBuf,
    readers: Readers,
    clock: Arc<Clock>,
    touched: Arc<Touched>,
    chains: Arc<Chains>,
    shelf: Arc<Shelf>,
    condition: Condition,
    // These two in this order: the lock is free once the writer has closed the database.
    writer: Writer,
    _lock: Lock,
}

/// Where the store is and how much it keeps.
#[derive(Clone, Debug)]
pub struct Settings {
    pub path: PathBuf,
    /// Conversations that are known again by their history.
    pub max_sessions: usize,
    /// Notebooks of each principal.
    pub max_notebooks: usize,
    /// Responses, and what clients have put into conversations, of all principals together.
    pub max_responses: usize,
    /// Bytes of what they hold; the file is somewhat larger.
    pub max_bytes: u64,
    /// How long a response is kept that nobody uses.
    pub max_age: Option<Duration>,
    /// Unix time, for what was used when.
    pub clock: fn() -> Millis,
}

impl Settings {
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            max_sessions: 10_000,
            max_notebooks: 10_000,
            max_responses: 10_000,
            max_bytes: 1 << 30,
            max_age: None,
            clock: clock::system,
        }
    }
}

impl SqliteStore {
    /// Opens the store, or makes it. Its folder must be there.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let path = settings.path.as_path();
        let Opened { db, lock } = open(path, schema::STEPS)?;
        let limits = Limits {
            responses: settings.max_responses as u64,
            bytes: settings.max_bytes,
            age: settings.max_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            sessions: settings.max_sessions as u64,
            notebooks: settings.max_notebooks as u64,
        };
        let last = db.query_row("SELECT max((SELECT coalesce(max(used), 0) FROM links), (SELECT coalesce(max(used), 0) FROM conversations), (SELECT coalesce(max(changed), 0) FROM notes))", [], |row| row.get(0));
        let condition = Condition::of(path);
        let (touched, chains) = (Arc::<Touched>::default(), Arc::<Chains>::default());
        let started = last.and_then(|last| {
            let clock = Arc::new(Clock::after(last, settings.clock));
            Ok((Tables::new(db, limits, Arc::clone(&clock), Arc::clone(&touched), Arc::clone(&chains))?, clock))
        });
        let (tables, clock) = started.map_err(|error| opening::of_database(path, &error))?;
        condition.count(tables.totals.responses);
        let writer = Writer::start(tables, condition.clone())
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let readers = Readers::new(path, condition.clone());
        Ok(Self {
            path: path.to_owned(),
            readers,
            clock,
            touched,
            chains,
            shelf: Arc::default(),
            condition,
            writer,
            _lock: lock,
        })
    }

    async fn order<T: Send + 'static>(
        &self,
        promise: Promise,
        work: impl Fn(&mut Tables) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.order(&self.condition, promise, work).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.ask(question).await
    }

    /// What was found, which counts as used from now on.
    fn used<T>(&self, found: Numbered<T>) -> Option<T> {
        found.map(|(link, found)| {
            self.touched.add(Used::Link(link), self.clock.tick());
            found
        })
    }
}

impl Store for SqliteStore {
    fn session(&self, principal: &str, fingerprint: Fingerprint) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        let principal = principal.to_owned();
        Box::pin(self.ask(move |db| sessions::find(db, &principal, fingerprint)))
    }

    fn remember_session(
        &self,
        principal: &str,
        fingerprint: Fingerprint,
        session: String,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let principal = principal.to_owned();
        Box::pin(
            self.order(Promise::Process, move |tables| sessions::remember(tables, &principal, fingerprint, &session)),
        )
    }

    fn turn(&self, principal: &str, call_id: &str) -> BoxFuture<'_, Result<Option<Turn>, StoreError>> {
        let (principal, call) = (principal.to_owned(), call_id.to_owned());
        Box::pin(self.ask(move |db| sessions::turn(db, &principal, &call)))
    }

    fn keep_turn(&self, principal: &str, call_ids: &[String], turn: Turn) -> BoxFuture<'_, Result<(), StoreError>> {
        let (principal, call) = (principal.to_owned(), call_ids.first().cloned());
        Box::pin(async move {
            let Some(call) = call else { return Ok(()) };
            let items = serde_json::to_string(&turn).map_err(|error| self.condition.note(error.into()))?;
            self.order(Promise::Outcome, move |tables| sessions::keep_turn(tables, &principal, &call, &items)).await
        })
    }

    fn response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Arc<StoredResponse>>, StoreError>> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(async move {
            let found = self.ask(move |db| links::response(db, &principal, &id)).await?;
            Ok(self.used(found))
        })
    }

    fn items(&self, principal: &str, keys: &[ItemKey]) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        let (principal, keys) = (principal.to_owned(), keys.to_owned());
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let find = move |db: &Connection| keys.iter().map(|key| items::find(db, &principal, key)).collect();
            let found: Vec<_> = self.ask(find).await?;
            Ok(found.into_iter().map(|found| self.used(found)).collect())
        })
    }

    fn chain(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Chain>, StoreError>> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(async move {
            let known = Arc::clone(&self.chains);
            let found = self.ask(move |db| links::chain(db, &principal, &id, &known)).await?;
            Ok(found.and_then(|read| self.used(read.end().map(|end| (end, read.links)))))
        })
    }

    fn keep_response(
        &self,
        principal: &str,
        response: StoredResponse,
        fence: Option<Fence>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let principal = principal.to_owned();
        Box::pin(async move {
            let written = Written::of(response, fence).map_err(|fault| self.condition.note(fault))?;
            self.order(Promise::Outcome, move |tables| {
                forest::put(tables, &principal, &written, links::KEPT, None).map(drop)
            })
            .await
        })
    }

    fn delete_response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<bool, StoreError>> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(self.order(Promise::Outcome, move |tables| forest::delete(tables, &principal, &id)))
    }

    fn health(&self) -> Health {
        let size = |suffix: &str| {
            let mut file = self.path.as_os_str().to_owned();
            file.push(suffix);
            std::fs::metadata(file).map_or(0, |file| file.len())
        };
        Health {
            kind: "sqlite",
            path: Some(self.path.display().to_string()),
            bytes: size("").saturating_add(size("-wal")),
            responses: self.condition.responses(),
            trouble: self.condition.trouble(),
        }
    }
}
