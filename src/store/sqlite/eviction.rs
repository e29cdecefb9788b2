//! What is forgotten when there is too much, and how the room that it took is given back.
//!
//! First go the ends of chains, the least recently used first, so that what is left of a chain can still be gone on from.
//! The one used last stays, whatever the limits: it was just told to somebody. The end of a conversation that has a name
//! is spared. Where nothing else is left, whoever has the most loses the oldest of what is only stood on, and in the end
//! whoever has written loses a conversation: nobody's name goes for what others write.

use super::fault::Fault;
use super::tables::{Share, Tables};
use super::{forest, sessions};
use crate::core::ports::journals::{Millis, Promise};
use rusqlite::{Params, params};
use std::cmp::Reverse;
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

/// How large a share is, in what is limited.
type Size = fn(&Share) -> u64;

/// What counts as used when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Used {
    Link(i64),
    Conversation(i64),
}

/// What was used since this was last written down. Reading does not wait for a write, and a crash may lose it.
#[derive(Default)]
pub struct Touched(Mutex<HashMap<Used, Millis>>);

impl Touched {
    fn lock(&self) -> MutexGuard<'_, HashMap<Used, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, used: Used, at: Millis) {
        let mut touched = self.lock();
        if touched.len() < MAX_TOUCHED || touched.contains_key(&used) {
            touched.insert(used, at);
        }
    }

    fn take(&self) -> HashMap<Used, Millis> {
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
            let Some(link) = self.next_to_go()? else { break };
            forest::give_up(self, link)?;
        }
        self.writers.clear();
        Ok(())
    }

    fn write_touched(&self) -> rusqlite::Result<()> {
        for (used, at) in self.touched.take() {
            let (sql, pk) = match used {
                Used::Link(pk) => ("UPDATE links SET used = max(used, ?2) WHERE pk = ?1", pk),
                Used::Conversation(pk) => ("UPDATE conversations SET used = max(used, ?2) WHERE pk = ?1", pk),
            };
            self.execute(sql, params![pk, at])?;
        }
        Ok(())
    }

    /// The link to be evicted next, if any is to be.
    fn next_to_go(&self) -> rusqlite::Result<Option<i64>> {
        let over = self.over_the_limit();
        if over.is_none() && self.limits.age.is_none() {
            return Ok(None);
        }
        let ends = self.oldest(
            "SELECT pk, used FROM links WHERE children = 0 AND head < 2 AND state IN (1, 2, 3) ORDER BY used LIMIT 2",
            [],
        )?;
        let named = self.oldest("SELECT pk, used FROM links WHERE head = 2 ORDER BY used LIMIT 1", [])?;
        let is_old = |used: Millis| self.limits.age.is_some_and(|age| used.saturating_add(age) < self.clock.now());
        if let Some((old, _)) = ends.first().into_iter().chain(named.first()).find(|(_, used)| is_old(*used)) {
            return Ok(Some(*old));
        }
        let Some(size) = over else { return Ok(None) };
        if let [(end, _), _] = ends[..] {
            return Ok(Some(end));
        }
        match self.stood_on(size)? {
            Some(link) => Ok(Some(link)),
            None => self.head_of_a_writer(),
        }
    }

    /// How the limited size of a share is measured, if there is too much of it.
    fn over_the_limit(&self) -> Option<Size> {
        let sum = |size: Size| self.totals.shares.values().map(size).fold(0, u64::saturating_add);
        let sizes: [(Size, u64); 2] =
            [(|share| share.links, self.limits.responses), (|share| share.bytes, self.limits.bytes)];
        sizes.into_iter().find(|(size, limit)| sum(*size) > *limit).map(|(size, _)| size)
    }

    /// The oldest link that is only stood on, of whoever has the most.
    fn stood_on(&self, size: Size) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT pk, used FROM links WHERE principal = ?1 AND children > 0 AND head = 0 AND state IN (1, 3)
                   ORDER BY used LIMIT 1";
        let mut oldest = Vec::new();
        for (principal, share) in &self.totals.shares {
            let found = self.oldest(sql, [*principal])?;
            oldest.extend(found.into_iter().map(|(link, used)| (size(share), Reverse(used), link)));
        }
        Ok(oldest.into_iter().max().map(|(.., link)| link))
    }

    /// The least recently used conversation of one who has just written, the last one excepted.
    fn head_of_a_writer(&self) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT pk, used FROM links WHERE head = 2 AND principal = ?1 ORDER BY used LIMIT 2";
        for principal in &self.writers {
            if let [(head, _), _] = self.oldest(sql, [*principal])?[..] {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn oldest(&self, sql: &str, params: impl Params) -> rusqlite::Result<Vec<(i64, Millis)>> {
        let mut statement = self.db.prepare_cached(sql)?;
        statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Does a little of what can wait, and says whether there is more. `paused` is that nothing has happened for a while.
    pub fn tidy(&mut self, paused: bool) -> Result<bool, Fault> {
        if self.erased {
            self.empty_log();
        }
        let touched = self.touched.len();
        if touched > MANY_TOUCHED || (paused && touched > 0) || self.next_to_go()?.is_some() {
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
