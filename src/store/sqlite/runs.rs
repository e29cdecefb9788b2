//! Runs in progress: whose they are, and their journals, of which each batch is a row until the end makes one of all.

use super::conversations;
use super::fault::Fault;
use super::forest;
use super::id::{Id, Kept};
use super::items;
use super::links::{self, Written};
use super::tables::Tables;
use crate::core::event::Outcome;
use crate::core::id::RunId;
use crate::core::journal::Journal;
use crate::core::ports::journals::{
    Begun, Claimed, Ending, Fence, IdempotencyKey, KeyedRun, Lease, Millis, RunSummary, Tail,
};
use crate::core::ports::store::{Link, StoreError, StoredResponse};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::Arc;
use uuid::Uuid;

/// Keys that are remembered, of all principals together.
const MAX_KEYS: u64 = 200_000;

/// A run in progress, and whose it is.
struct Held {
    link: i64,
    fence: u64,
}

/// The run, if it still belongs to the one with this fence.
fn held(db: &Connection, run: RunId, fence: Fence) -> Result<Held, Fault> {
    let mut statement = db.prepare_cached("SELECT link, fence FROM running WHERE run = ?1")?;
    let read = statement.query_row([run.uuid()], |row| Ok(Held { link: row.get(0)?, fence: row.get(1)? }));
    read.optional()?.filter(|held| held.fence == fence.0).ok_or(Fault::Refused(StoreError::Fenced))
}

/// How many events the journal of a run in progress holds.
fn end_of(db: &Connection, link: i64) -> rusqlite::Result<u64> {
    let mut statement = db.prepare_cached("SELECT at + events FROM told WHERE link = ?1 ORDER BY at DESC LIMIT 1")?;
    Ok(statement.query_row([link], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The journal of a run in progress from the event number `after` on.
fn told(db: &Connection, link: i64, after: u64) -> Result<Journal, Fault> {
    let mut statement =
        db.prepare_cached("SELECT at, batch FROM told WHERE link = ?1 AND at + events > ?2 ORDER BY at")?;
    let mut rows = statement.query(params![link, after])?;
    let mut journal = Journal::default();
    while let Some(row) = rows.next()? {
        let at: u64 = row.get(0)?;
        let batch = Journal::unpack(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        match after.saturating_sub(at) {
            0 => journal.extend(&batch),
            seen => journal.extend(&batch.from(seen)),
        }
    }
    Ok(journal)
}

pub fn begin(
    tables: &mut Tables,
    run: RunId,
    principal: &str,
    response: &Written,
    key: Option<&IdempotencyKey>,
    lease: &Lease,
) -> Result<Begun, Fault> {
    if let Some(key) = key
        && let Some(taken) = take_key(tables, principal, key, run, &response.id)?
    {
        return Ok(Begun::Taken(taken));
    }
    let link = forest::put(tables, principal, response, links::RUNNING, Some(run.uuid()))?;
    let fence = Fence(1);
    let sql = "INSERT INTO running (run, link, owner, until, fence, claims) VALUES (?1, ?2, ?3, ?4, ?5, 0)";
    tables.execute(sql, params![run.uuid(), link, &*lease.owner, lease.until, fence.0])?;
    Ok(Begun::Begun(fence))
}

/// The run that a key stands for at `now`.
pub fn keyed(db: &Connection, principal: &str, key: &str, now: Millis) -> Result<Option<KeyedRun>, Fault> {
    let sql = "SELECT run, id, body FROM keys
               WHERE principal = (SELECT pk FROM principals WHERE name = ?1) AND key = ?2 AND until > ?3";
    let mut statement = db.prepare_cached(sql)?;
    Ok(statement.query_row(params![principal, key, now], keyed_run).optional()?)
}

fn keyed_run(row: &Row) -> rusqlite::Result<KeyedRun> {
    Ok(KeyedRun { run: RunId::new(row.get(0)?), id: row.get::<_, Kept>(1)?.0, body: row.get(2)? })
}

/// Takes the key for this run, or says which run has it.
fn take_key(
    tables: &mut Tables,
    principal: &str,
    key: &IdempotencyKey,
    run: RunId,
    id: &str,
) -> Result<Option<KeyedRun>, Fault> {
    let principal = tables.principal(principal)?;
    let IdempotencyKey { key, body, now, until } = key;
    let forgotten = tables.execute("DELETE FROM keys WHERE until <= ?1", [now])?;
    tables.totals.keys = tables.totals.keys.saturating_sub(forgotten as u64);
    let sql = "SELECT run, id, body FROM keys WHERE principal = ?1 AND key = ?2";
    let taken = tables.one(sql, params![principal, key], keyed_run)?;
    if taken.is_some() {
        return Ok(taken);
    }
    if tables.totals.keys >= MAX_KEYS {
        let sql = "DELETE FROM keys WHERE (principal, key) IN (SELECT principal, key FROM keys ORDER BY until LIMIT 1)";
        tables.execute(sql, [])?;
    } else {
        tables.totals.keys = tables.totals.keys.saturating_add(1);
    }
    let sql = "INSERT INTO keys (principal, key, run, id, body, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    tables.execute(sql, params![principal, key, run.uuid(), Id(id), body, until])?;
    Ok(None)
}

/// Events to be added, packed.
pub struct Packed {
    pub at: u64,
    pub events: u64,
    pub text: String,
    pub is_outcome: bool,
}

pub fn append(tables: &mut Tables, run: RunId, fence: Fence, batch: &Packed) -> Result<(), Fault> {
    let held = held_at(tables, run, fence, batch.at)?;
    if batch.events > 0 {
        let sql = "INSERT INTO told (link, at, events, batch) VALUES (?1, ?2, ?3, ?4)";
        tables.execute(sql, params![held.link, batch.at, batch.events, batch.text])?;
    }
    if batch.is_outcome {
        tables.execute("UPDATE running SET claims = 0 WHERE run = ?1 AND claims > 0", [run.uuid()])?;
    }
    Ok(())
}

fn held_at(tables: &Tables, run: RunId, fence: Fence, at: u64) -> Result<Held, Fault> {
    let held = held(&tables.db, run, fence)?;
    let end = end_of(&tables.db, held.link)?;
    if end != at {
        return Err(StoreError::Misplaced(end).into());
    }
    Ok(held)
}

/// What is known of a run at its end.
pub struct Ended {
    /// Events before the last batch.
    at: u64,
    /// All of it, as it will be kept.
    pub journal: String,
    pub outcome: Option<String>,
    pub ending: Option<Ending>,
    /// Of what was made; see [`items::numbers`].
    pub keys: Vec<u8>,
}

impl Ended {
    /// All that was told, before the last events and with them. This may take a while, so it is not the writer that does
    /// it: who holds a run is the only one who appends to it.
    pub fn of(journal: &Journal, last: u64, ending: Option<Ending>) -> Result<Self, Fault> {
        let keys = items::numbers(journal.items().iter());
        let at = journal.len().saturating_sub(last);
        Ok(Self { at, journal: journal.pack(), outcome: links::outcome(journal)?, ending, keys })
    }
}

/// What was told of a run, put together with the last of it.
pub fn whole(db: &Connection, run: RunId, fence: Fence, last: &Journal) -> Result<Journal, Fault> {
    let mut journal = told(db, held(db, run, fence)?.link, 0)?;
    journal.extend(last);
    Ok(journal)
}

/// Ends a run, if its journal is still as long as it was when it was put together, and as `at` says.
pub fn end(tables: &mut Tables, run: RunId, fence: Fence, at: u64, ended: &Ended) -> Result<(), Fault> {
    let held = held_at(tables, run, fence, at)?;
    if ended.at != at {
        return Err(StoreError::Misplaced(ended.at).into());
    }
    forest::end(tables, held.link, ended)?;
    tables.execute("DELETE FROM told WHERE link = ?1", [held.link])?;
    tables.execute("DELETE FROM running WHERE run = ?1", [run.uuid()])?;
    tables.loose = true;
    Ok(())
}

pub fn tail(db: &Connection, principal: &str, run: RunId, after: u64) -> Result<Option<Tail>, Fault> {
    let sql = "SELECT links.pk, contents.journal FROM links JOIN contents ON contents.link = links.pk
               WHERE run = ?1 AND principal = (SELECT pk FROM principals WHERE name = ?2)";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![run.uuid(), principal])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let packed = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    Ok(Some(match packed {
        Some(text) => Tail { journal: Journal::unpack(text)?.from(after), ended: true },
        None => Tail { journal: told(db, row.get(0)?, after)?, ended: false },
    }))
}

pub fn claim(tables: &mut Tables, lease: &Lease, now: Millis, at_most: usize) -> Result<Vec<Claimed>, Fault> {
    conversations::free(tables, &lease.owner, now)?;
    let sql = "UPDATE running SET owner = ?1, until = ?2, fence = fence + 1, claims = claims + 1
               WHERE run IN (SELECT run FROM running
                             WHERE owner IS NULL OR (until <= ?3 AND owner <> ?1) ORDER BY run LIMIT ?4)
               RETURNING run, link, fence, claims";
    let mut statement = tables.db.prepare_cached(sql)?;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let rows = statement.query_map(params![&*lease.owner, lease.until, now, at_most], read)?;
    let mut left: Vec<(Uuid, i64, u64, u32)> = rows.collect::<Result<_, _>>()?;
    left.sort_unstable();
    let mut claimed = Vec::new();
    for (run, link, fence, claims) in left {
        let run = RunId::new(run);
        match left_by(tables, link) {
            Ok((principal, request, response)) => {
                claimed.push(Claimed { run, principal, fence: Fence(fence), response, request, claims });
            }
            // The others must not wait for one that is damaged.
            Err(fault) => tracing::error!(%run, %fault, "a run cannot be carried on, as its journal cannot be read"),
        }
    }
    Ok(claimed)
}

/// What its last owner has left of a run: whose it is, what it was asked, and how far it has come.
fn left_by(tables: &Tables, link: i64) -> Result<(Arc<str>, String, StoredResponse), Fault> {
    let sql = "SELECT name, request FROM links JOIN principals ON principals.pk = principal
               JOIN contents ON contents.link = links.pk WHERE links.pk = ?1";
    let found = tables.one(sql, [link], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (principal, request) = found.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let Link::Response(begun) = links::of_link(&tables.db, link)? else {
        return Err(rusqlite::Error::QueryReturnedNoRows.into());
    };
    let journal = told(&tables.db, link, 0)?;
    let (output, journal) = (journal.items().into(), Arc::new(journal));
    Ok((principal, request, StoredResponse { output, journal, ..Arc::unwrap_or_clone(begun) }))
}

pub fn renew(tables: &Tables, lease: &Lease) -> Result<(), Fault> {
    tables.execute("UPDATE running SET until = ?2 WHERE owner = ?1", params![&*lease.owner, lease.until])?;
    Ok(conversations::renew(tables, lease)?)
}

pub fn release(tables: &Tables, run: RunId, fence: Fence) -> Result<(), Fault> {
    held(&tables.db, run, fence)?;
    tables.execute("UPDATE running SET owner = NULL, claims = 0 WHERE run = ?1", [run.uuid()])?;
    Ok(())
}

pub fn list(db: &Connection, principal: &str, before: Option<RunId>, at_most: usize) -> Result<Vec<RunSummary>, Fault> {
    let sql =
        "SELECT run, id, state, contents.head, outcome, ended_at FROM links JOIN contents ON contents.link = links.pk
               WHERE principal = (SELECT pk FROM principals WHERE name = ?1)
               AND run IS NOT NULL AND (?2 IS NULL OR run < ?2) ORDER BY run DESC LIMIT ?3";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![principal, before.map(|run| run.uuid()), at_most])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let unusual = row.get_ref(4)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let is_over = row.get::<_, i64>(2)? == links::KEPT;
        let outcome = unusual.map(serde_json::from_str).transpose()?.or(is_over.then_some(Outcome::Completed));
        runs.push(RunSummary {
            run: RunId::new(row.get(0)?),
            id: row.get::<_, Kept>(1)?.0,
            head: row.get(3)?,
            outcome,
            ended_at: row.get(5)?,
        });
    }
    Ok(runs)
}
