//! What is forgotten when there is too much, and how the room that it took is given back.
//!
//! Only a response that nothing goes on from is evicted, the least recently used first. So a chain goes from its end, and
//! what is left of it can still be gone on from. The one used last stays, whatever the limits: it was just told to
//! somebody.

use super::fault::Fault;
use super::tables::Tables;
use super::{links, sessions};
use crate::core::ports::journals::{Millis, Promise};
use rusqlite::params;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Responses that are evicted at a time, over as many as have come.
const A_FEW: usize = 16;

/// Uses that are remembered until they are written down; there is no need for all of them.
const MAX_TOUCHED: usize = 4096;

/// With as many there is no more waiting.
const MANY_TOUCHED: usize = 512;

/// Free pages that are given back at a time.
const PAGES: i64 = 64;

/// Free pages that are kept for what comes next.
const SPARE_PAGES: i64 = 256;

/// How often to look around when nothing is ordered.
const PAUSE: Duration = Duration::from_secs(30);

/// How long the write-ahead log may be waited for, and how soon again.
const LOG_PATIENCE: Duration = Duration::from_millis(100);
const LOG_RETRY: Duration = Duration::from_secs(1);

/// Links that were used since this was last written down. Reading does not wait for a write, and a crash may lose it.
#[derive(Default)]
pub struct Touched(Mutex<HashMap<i64, Millis>>);

impl Touched {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, link: i64, at: Millis) {
        let mut touched = self.lock();
        if touched.len() < MAX_TOUCHED || touched.contains_key(&link) {
            touched.insert(link, at);
        }
    }

    fn take(&self) -> HashMap<i64, Millis> {
        std::mem::take(&mut *self.lock())
    }

    fn len(&self) -> usize {
        self.lock().len()
    }
}

impl Tables {
    /// Keeps to the limits, at the end of a transaction that has brought no more than so many responses.
    pub fn make_room(&mut self, come: usize) -> Result<(), Fault> {
        self.write_touched()?;
        for _ in 0..come.saturating_add(A_FEW) {
            let Some(link) = self.least_used()? else { break };
            links::remove(self, link)?;
        }
        Ok(())
    }

    fn write_touched(&self) -> rusqlite::Result<()> {
        for (link, at) in self.touched.take() {
            self.execute("UPDATE links SET used = max(used, ?2) WHERE pk = ?1 AND state = 1", params![link, at])?;
        }
        Ok(())
    }

    /// The response to be evicted next, if any is to be.
    fn least_used(&self) -> rusqlite::Result<Option<i64>> {
        let too_many = self.totals.responses > self.limits.responses || self.totals.bytes > self.limits.bytes;
        if !too_many && self.limits.age.is_none() {
            return Ok(None);
        }
        let sql = "SELECT pk, used FROM links WHERE state = 1 AND children = 0 ORDER BY used LIMIT 2";
        let mut statement = self.db.prepare_cached(sql)?;
        let found: Vec<(i64, Millis)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let is_old = |used: Millis| self.limits.age.is_some_and(|age| used.saturating_add(age) < self.clock.now());
        Ok(match found[..] {
            [(link, used), ..] if is_old(used) => Some(link),
            [(link, _), _] if too_many => Some(link),
            _ => None,
        })
    }

    /// Does a little of what can wait, and says whether there is more. `paused` is that nothing has happened for a while.
    pub fn tidy(&mut self, paused: bool) -> Result<bool, Fault> {
        if self.erased {
            self.empty_log();
        }
        let touched = self.touched.len();
        if touched > MANY_TOUCHED || (paused && touched > 0) || self.least_used()?.is_some() {
            self.transaction(Promise::Process, |tables| tables.make_room(0))?;
            return Ok(true);
        }
        if paused && self.totals.waiting > 0 {
            self.transaction(Promise::Process, sessions::trim_turns)?;
        }
        if std::mem::take(&mut self.loose) {
            self.loose = self.give_pages_back()?;
        }
        Ok(self.loose)
    }

    /// When there may be something to tidy up again.
    pub fn pause(&self) -> Duration {
        if self.erased { LOG_RETRY } else { PAUSE }
    }

    /// Gives some free pages back to the file system, and says whether there are more than are kept.
    fn give_pages_back(&mut self) -> Result<bool, Fault> {
        let count = |pragma| self.db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let spare = SPARE_PAGES.max(count("page_count")? / 16);
        let over = count("freelist_count")?.saturating_sub(spare);
        if over <= 0 {
            return Ok(false);
        }
        self.transaction(Promise::Process, |tables| {
            Ok(tables.db.execute_batch(&format!("PRAGMA incremental_vacuum({})", over.min(PAGES)))?)
        })?;
        // The file itself gets shorter with the log.
        if over <= PAGES {
            self.empty_log();
        }
        Ok(over > PAGES)
    }

    /// Moves all of the write-ahead log into the database and cuts it off, so that nothing is left of what was deleted.
    /// While somebody reads from it this is put off, and so it is when it fails: whatever is in it is committed. Says
    /// whether it is empty.
    pub fn empty_log(&mut self) -> bool {
        let now = Instant::now();
        if self.busy_until.is_some_and(|until| now < until) {
            return false;
        }
        // The first attempt may wait a moment; those that follow find it free or not.
        let patience = if self.busy_until.is_none() { LOG_PATIENCE } else { Duration::ZERO };
        let emptied = self
            .db
            .busy_timeout(patience)
            .and_then(|()| self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(!row.get::<_, bool>(0)?)));
        let restored = self.db.busy_timeout(super::opening::PATIENCE);
        let emptied = emptied.and_then(|emptied| restored.map(|()| emptied)).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log of the store cannot be emptied now; that is tried again");
            false
        });
        self.erased &= !emptied;
        self.busy_until = if emptied { None } else { now.checked_add(LOG_RETRY) };
        emptied
    }

    /// Leaves all in order for the next start.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.transaction(Promise::Process, |tables| tables.make_room(0))?;
        self.busy_until = None;
        self.empty_log();
        Ok(())
    }
}
