//! The tables as the writer has them: what an order may do, in a transaction with others.

use super::chains::Chains;
use super::clock::Clock;
use super::eviction::Touched;
use super::fault::Fault;
use crate::core::ports::journals::{Millis, Promise};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

pub struct Tables {
    pub db: Connection,
    pub limits: Limits,
    pub clock: Arc<Clock>,
    pub touched: Arc<Touched>,
    pub chains: Arc<Chains>,
    /// Links that are not what they were before the transaction, which may be known from then.
    pub changed: Vec<i64>,
    pub totals: Totals,
    /// Who has stored a link since room was last made.
    pub writers: Vec<i64>,
    /// Something was deleted that must be on the disk no more.
    pub erased: bool,
    /// There may be pages to give back.
    pub loose: bool,
    /// When the next attempt may be made to empty the write-ahead log, which somebody was reading at the last one.
    pub busy_until: Option<Instant>,
    synchronous: &'static str,
}

pub struct Limits {
    pub responses: u64,
    pub bytes: u64,
    /// Milliseconds.
    pub age: Option<Millis>,
    pub sessions: u64,
    /// Of each principal.
    pub notebooks: u64,
}

/// What is limited. Counted once at the start, as to count each time would be to read it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub responses: u64,
    /// By the number of a principal. Principals are as many as the configuration has keys.
    pub shares: BTreeMap<i64, Share>,
    pub sessions: u64,
    pub waiting: u64,
    pub waiting_bytes: u64,
    pub keys: u64,
}

/// What one principal has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Responses that are over, and items that were put into conversations.
    pub links: u64,
    pub bytes: u64,
    pub conversations: u64,
    /// Of the conversations alone, without their links.
    pub conversation_bytes: u64,
}

impl Tables {
    pub fn new(
        db: Connection,
        limits: Limits,
        clock: Arc<Clock>,
        touched: Arc<Touched>,
        chains: Arc<Chains>,
    ) -> rusqlite::Result<Self> {
        let totals = Totals::count(&db)?;
        let (changed, writers) = (Vec::new(), Vec::new());
        let (erased, loose, busy_until, synchronous) = (false, true, None, "");
        Ok(Self {
            db,
            limits,
            clock,
            touched,
            chains,
            changed,
            totals,
            writers,
            erased,
            loose,
            busy_until,
            synchronous,
        })
    }

    /// Everything or nothing. Says whether anything was written.
    pub fn transaction(
        &mut self,
        promise: Promise,
        work: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        if !self.db.is_autocommit() {
            // What could not be undone last time, for whatever reason.
            self.execute("ROLLBACK", [])?;
        }
        self.synchronise(if promise == Promise::Process { "NORMAL" } else { "FULL" })?;
        let (totals, erased, changes) = (self.totals.clone(), self.erased, self.db.total_changes());
        self.execute("BEGIN IMMEDIATE", [])?;
        let done = work(self).and_then(|()| Ok(self.execute("COMMIT", [])?));
        self.chains.forget(&std::mem::take(&mut self.changed));
        if let Err(fault) = done {
            (self.totals, self.erased) = (totals, erased);
            self.writers.clear();
            if !self.db.is_autocommit() {
                self.execute("ROLLBACK", [])?;
            }
            return Err(fault);
        }
        if self.erased {
            self.empty_log();
        }
        Ok(self.db.total_changes() != changes)
    }

    /// Carries out a part of a transaction that says whether it went well, and undoes it if it did not.
    pub fn alone(&mut self, work: impl FnOnce(&mut Self) -> bool) -> Result<bool, Fault> {
        let (totals, erased) = (self.totals.clone(), self.erased);
        self.execute("SAVEPOINT one", [])?;
        let went_well = work(self);
        if !went_well {
            // On some errors SQLite gives the whole transaction up.
            if self.db.is_autocommit() {
                return Err(Fault::Lost);
            }
            self.execute("ROLLBACK TO one", [])?;
            (self.totals, self.erased) = (totals, erased);
        }
        self.execute("RELEASE one", [])?;
        Ok(went_well)
    }

    /// It cannot be changed within a transaction.
    fn synchronise(&mut self, level: &'static str) -> rusqlite::Result<()> {
        if self.synchronous != level {
            self.db.pragma_update(None, "synchronous", level)?;
            self.synchronous = level;
        }
        Ok(())
    }

    pub fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.db.prepare_cached(sql)?.execute(params)
    }

    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.db.prepare_cached(sql)?.query_row(params, read).optional()
    }

    /// The number of a principal, who gets one at the first time.
    pub fn principal(&self, name: &str) -> rusqlite::Result<i64> {
        let known = self.one("SELECT pk FROM principals WHERE name = ?1", [name], |row| row.get(0))?;
        known.map_or_else(
            || {
                self.execute("INSERT INTO principals (name) VALUES (?1)", [name])?;
                Ok(self.db.last_insert_rowid())
            },
            Ok,
        )
    }
}

impl Totals {
    fn count(db: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT (SELECT count(*) FROM links WHERE state = 1),
                          (SELECT count(*) FROM sessions),
                          (SELECT count(*) FROM waiting),
                          (SELECT coalesce(sum(bytes), 0) FROM waiting),
                          (SELECT count(*) FROM keys)";
        let totals = db.query_row(sql, [], |row| {
            Ok(Self {
                responses: row.get(0)?,
                shares: BTreeMap::new(),
                sessions: row.get(1)?,
                waiting: row.get(2)?,
                waiting_bytes: row.get(3)?,
                keys: row.get(4)?,
            })
        })?;
        Ok(Self { shares: shares(db)?, ..totals })
    }
}

fn shares(db: &Connection) -> rusqlite::Result<BTreeMap<i64, Share>> {
    let mut shares = BTreeMap::<i64, Share>::new();
    let mut statement =
        db.prepare("SELECT principal, count(*), sum(bytes) FROM links WHERE state IN (1, 3) GROUP BY principal")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let share = shares.entry(row.get(0)?).or_default();
        (share.links, share.bytes) = (row.get(1)?, row.get(2)?);
    }
    let mut statement = db.prepare("SELECT principal, count(*), sum(bytes) FROM conversations GROUP BY principal")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let share = shares.entry(row.get(0)?).or_default();
        (share.conversations, share.conversation_bytes) = (row.get(1)?, row.get(2)?);
    }
    Ok(shares)
}
