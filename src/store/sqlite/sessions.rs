//! Sessions by the conversations that lead to them, and turns that wait for a client's tools.

use super::fault::Fault;
use super::tables::Tables;
use crate::core::ports::journals::Millis;
use crate::core::ports::store::{Fingerprint, Turn};
use rusqlite::{Connection, OptionalExtension, params};

/// Turns wait for a client to run its tools, which takes moments: what is older may go.
const MAX_WAITING: u64 = 4096;
const MAX_WAITING_BYTES: u64 = 64 << 20;

/// Milliseconds after which nobody comes back any more.
const MAX_WAIT: Millis = 24 * 3600 * 1000;

pub fn find(db: &Connection, principal: &str, fingerprint: Fingerprint) -> Result<Option<String>, Fault> {
    let sql = "SELECT session FROM sessions
               WHERE principal = (SELECT pk FROM principals WHERE name = ?1) AND fingerprint = ?2";
    let found = db.prepare_cached(sql)?.query_row(params![principal, fingerprint], |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

pub fn remember(tables: &mut Tables, principal: &str, fingerprint: Fingerprint, session: &str) -> Result<(), Fault> {
    let principal = tables.principal(principal)?;
    let used = tables.clock.tick();
    let sql = "UPDATE sessions SET used = ?4, session = iif(session = ?3, session, NULL)
               WHERE principal = ?1 AND fingerprint = ?2";
    if tables.execute(sql, params![principal, fingerprint, session, used])? > 0 {
        return Ok(());
    }
    let sql = "INSERT INTO sessions (principal, fingerprint, session, used) VALUES (?1, ?2, ?3, ?4)";
    tables.execute(sql, params![principal, fingerprint, session, used])?;
    tables.totals.sessions = tables.totals.sessions.saturating_add(1);
    let too_many = tables.totals.sessions.saturating_sub(tables.limits.sessions);
    if too_many > 0 {
        let sql = "DELETE FROM sessions WHERE (principal, fingerprint) IN
                   (SELECT principal, fingerprint FROM sessions ORDER BY used LIMIT min(?1, 64))";
        let gone = tables.execute(sql, [too_many])?;
        tables.totals.sessions = tables.totals.sessions.saturating_sub(gone as u64);
    }
    Ok(())
}

pub fn turn(db: &Connection, principal: &str, call: &str) -> Result<Option<Turn>, Fault> {
    let sql = "SELECT items FROM waiting WHERE principal = (SELECT pk FROM principals WHERE name = ?1) AND call = ?2";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![principal, call])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?)
}

/// `items` is the turn as JSON.
pub fn keep_turn(tables: &mut Tables, principal: &str, call: &str, items: &str) -> Result<(), Fault> {
    let principal = tables.principal(principal)?;
    forget_calls(tables, principal, call)?;
    let bytes = items.len() as u64;
    let sql = "INSERT INTO waiting (principal, call, kept_at, bytes, items) VALUES (?1, ?2, ?3, ?4, ?5)";
    tables.execute(sql, params![principal, call, tables.clock.now(), bytes, items])?;
    tables.totals.waiting = tables.totals.waiting.saturating_add(1);
    tables.totals.waiting_bytes = tables.totals.waiting_bytes.saturating_add(bytes);
    trim_turns(tables)
}

/// Forgets turns that are too many, or that nobody came back for.
pub fn trim_turns(tables: &mut Tables) -> Result<(), Fault> {
    loop {
        // A row's number is greater than those of all before it.
        let sql = "SELECT pk, kept_at FROM waiting ORDER BY pk LIMIT 1";
        let oldest = tables.one(sql, [], |row| Ok((row.get(0)?, row.get::<_, Millis>(1)?)))?;
        let Some((oldest, kept_at)) = oldest else { return Ok(()) };
        let too_many = tables.totals.waiting > MAX_WAITING || tables.totals.waiting_bytes > MAX_WAITING_BYTES;
        if !too_many && kept_at.saturating_add(MAX_WAIT) > tables.clock.now() {
            return Ok(());
        }
        forget_turn(tables, oldest)?;
    }
}

/// Forgets the turn that waits for these calls.
pub fn forget_calls(tables: &mut Tables, principal: i64, call: &str) -> Result<(), Fault> {
    let sql = "SELECT pk FROM waiting WHERE principal = ?1 AND call = ?2";
    let known = tables.one(sql, params![principal, call], |row| row.get(0))?;
    known.map_or(Ok(()), |turn| forget_turn(tables, turn))
}

fn forget_turn(tables: &mut Tables, turn: i64) -> Result<(), Fault> {
    let bytes = tables.one("DELETE FROM waiting WHERE pk = ?1 RETURNING bytes", [turn], |row| row.get(0))?;
    tables.totals.waiting = tables.totals.waiting.saturating_sub(1);
    tables.totals.waiting_bytes = tables.totals.waiting_bytes.saturating_sub(bytes.unwrap_or(0));
    tables.loose = true;
    Ok(())
}
