//! Chains: responses, each with its own part alone, that point at what they go on from.

use super::fault::Fault;
use super::id::{Id, Kept};
use super::sessions;
use super::tables::Tables;
use crate::core::journal::Journal;
use crate::core::ports::store::{Chain, StoreError, StoredResponse, Turn};
use rusqlite::{Connection, Row, params};
use std::sync::Arc;
use uuid::Uuid;

pub const RUNNING: i64 = 0;
pub const KEPT: i64 = 1;
const GONE: i64 = 2;

/// A response as it is written.
pub struct Written {
    pub id: String,
    pub previous: Option<String>,
    pub ended_at: Option<u64>,
    pub outcome: Option<String>,
    pub head: String,
    pub instructions: Option<String>,
    pub input: String,
    /// `None` for a run in progress.
    pub journal: Option<String>,
    pub request: Option<String>,
}

impl Written {
    /// One that is over.
    pub fn of(response: StoredResponse) -> Result<Self, Fault> {
        let (journal, outcome) = (response.journal.pack(), outcome(&response.journal)?);
        Ok(Self { journal: Some(journal), outcome, ..Self::begun(response, None)? })
    }

    /// One whose run begins.
    pub fn begun(response: StoredResponse, request: Option<String>) -> Result<Self, Fault> {
        let StoredResponse { id, previous, instructions, input, head, ended_at, .. } = response;
        let input = serde_json::to_string(&input)?;
        Ok(Self { id, previous, ended_at, outcome: None, head, instructions, input, journal: None, request })
    }

    fn bytes(&self) -> usize {
        let texts = [Some(&self.head), self.instructions.as_ref(), Some(&self.input), self.journal.as_ref()];
        texts.into_iter().flatten().map(String::len).fold(0, usize::saturating_add)
    }
}

/// How a run ended, as it is written: nothing for the usual end.
pub fn outcome(journal: &Journal) -> Result<Option<String>, serde_json::Error> {
    let unusual = journal.outcome().filter(|outcome| **outcome != crate::core::event::Outcome::Completed);
    unusual.map(serde_json::to_string).transpose()
}

/// Where a response is found, with its own number first and what it goes on from.
const COLUMNS: &str = "links.pk, parents.id, contents.ended_at, contents.instructions, contents.head, contents.input,
    contents.journal";

fn read(row: &Row<'_>, id: String) -> Result<StoredResponse, Fault> {
    let previous: Option<Kept> = row.get(1)?;
    let input: Turn = serde_json::from_str(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?;
    let journal = row.get_ref(6)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    let journal = journal.map(Journal::unpack).transpose()?.unwrap_or_default();
    Ok(StoredResponse {
        id,
        previous: previous.map(|id| id.0),
        ended_at: row.get(2)?,
        instructions: row.get(3)?,
        head: row.get(4)?,
        input,
        output: journal.items().into(),
        journal: Arc::new(journal),
    })
}

/// A response, and its number.
pub fn response(db: &Connection, principal: &str, id: &str) -> Result<Option<(i64, StoredResponse)>, Fault> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM links JOIN contents ON contents.link = links.pk
         LEFT JOIN links AS parents ON parents.pk = links.parent
         WHERE links.id = ?1 AND links.principal = (SELECT pk FROM principals WHERE name = ?2) AND links.state = 1"
    ))?;
    let mut rows = statement.query(params![Id(id), principal])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((row.get(0)?, read(row, id.to_owned())?)))
}

/// The response of a link of any state.
pub fn of_link(db: &Connection, link: i64) -> Result<StoredResponse, Fault> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, links.id FROM links JOIN contents ON contents.link = links.pk
         LEFT JOIN links AS parents ON parents.pk = links.parent WHERE links.pk = ?1"
    ))?;
    let mut rows = statement.query([link])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    read(row, row.get::<_, Kept>(7)?.0)
}

/// The chain that ends with a response, and the number of that.
pub fn chain(db: &Connection, principal: &str, id: &str) -> Result<Option<(i64, Chain)>, Fault> {
    // From the end to the first one; a circle would end where it closes.
    let mut statement = db.prepare_cached(&format!(
        "WITH RECURSIVE chain (link, parent) AS (
             SELECT pk, parent FROM links
             WHERE id = ?1 AND principal = (SELECT pk FROM principals WHERE name = ?2)
             UNION
             SELECT links.pk, links.parent FROM chain CROSS JOIN links ON links.pk = chain.parent
         )
         SELECT {COLUMNS}, links.id, links.parent, links.state
         FROM chain CROSS JOIN links ON links.pk = chain.link
         LEFT JOIN contents ON contents.link = links.pk
         LEFT JOIN links AS parents ON parents.pk = links.parent"
    ))?;
    let mut rows = statement.query(params![Id(id), principal])?;
    let (mut last, mut next, mut chain) = (None, None, Chain::new());
    while let Some(row) = rows.next()? {
        let link: i64 = row.get(0)?;
        if row.get::<_, i64>(9)? != KEPT || next.is_some_and(|next| next != Some(link)) {
            return Ok(None);
        }
        last = last.or(Some(link));
        next = Some(row.get::<_, Option<i64>>(8)?);
        chain.push(Arc::new(read(row, row.get::<_, Kept>(7)?.0)?));
    }
    chain.reverse();
    let is_whole = next == Some(None);
    Ok(last.filter(|_| is_whole).map(|last| (last, chain)))
}

/// Writes a response where its id says: anew, or in place of one of the same id that is over or gone.
pub fn put(tables: &mut Tables, principal: &str, new: &Written, state: i64, run: Option<Uuid>) -> Result<i64, Fault> {
    let principal = tables.principal(principal)?;
    let parent = new.previous.as_ref().map(|previous| join(tables, principal, previous)).transpose()?;
    let (used, bytes) = (tables.clock.tick(), new.bytes() as u64);
    let link = match find(tables, principal, &new.id)? {
        None => {
            let sql = "INSERT INTO links (principal, id, parent, state, used, bytes, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            tables.execute(sql, params![principal, Id(&new.id), parent, state, used, bytes, run])?;
            tables.db.last_insert_rowid()
        }
        Some(old) if old.state == RUNNING || (old.state, state) == (KEPT, RUNNING) => {
            return Err(StoreError::Failed(format!("there is a response {} already", new.id)).into());
        }
        Some(old) => {
            let sql = "UPDATE links SET parent = ?2, state = ?3, used = ?4, bytes = ?5, run = ?6 WHERE pk = ?1";
            tables.execute(sql, params![old.link, parent, state, used, bytes, run])?;
            tables.uncount(&old);
            leave(tables, old.parent)?;
            old.link
        }
    };
    if state == KEPT {
        tables.count(bytes);
    }
    let sql = "INSERT OR REPLACE INTO contents (link, ended_at, outcome, head, instructions, input, journal, request)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Written { ended_at, outcome, head, instructions, input, journal, request, .. } = new;
    tables.execute(sql, params![link, ended_at, outcome, head, instructions, input, journal, request])?;
    Ok(link)
}

/// Makes the response of a run that has ended one that can be asked for.
pub fn end(
    tables: &mut Tables,
    link: i64,
    ended_at: Option<u64>,
    outcome: Option<&str>,
    journal: &str,
) -> Result<(), Fault> {
    let sql = "UPDATE contents SET ended_at = ?2, outcome = ?3, journal = ?4, request = NULL WHERE link = ?1";
    tables.execute(sql, params![link, ended_at, outcome, journal])?;
    let sql = "UPDATE links SET state = 1, used = ?2, bytes = bytes + ?3 WHERE pk = ?1 RETURNING bytes";
    let bytes = tables.one(sql, params![link, tables.clock.tick(), journal.len()], |row| row.get(0))?;
    tables.count(bytes.unwrap_or(0));
    Ok(())
}

/// Says whether it was there.
pub fn delete(tables: &mut Tables, principal: &str, id: &str) -> Result<bool, Fault> {
    let sql = "SELECT links.pk, principal, journal FROM links JOIN principals ON principals.pk = links.principal
               JOIN contents ON contents.link = links.pk WHERE id = ?1 AND name = ?2 AND state = 1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?));
    let Some((link, principal, journal)) = tables.one(sql, params![Id(id), principal], read)? else { return Ok(false) };
    // Also one that cannot be read can be deleted.
    let journal = journal.and_then(|journal| Journal::unpack(&journal).ok()).unwrap_or_default();
    for call in journal.waits() {
        sessions::forget_calls(tables, principal, call)?;
    }
    remove(tables, link)?;
    tables.erased = true;
    Ok(true)
}

/// Removes a response. As long as others go on from it, there is a mark in its place.
pub fn remove(tables: &mut Tables, link: i64) -> Result<(), Fault> {
    let sql = "SELECT pk, state, parent, bytes, children FROM links WHERE pk = ?1";
    let found = tables.one(sql, [link], |row| Ok((Found::read(row)?, row.get::<_, i64>(4)?)))?;
    let Some((found, children)) = found else { return Ok(()) };
    tables.uncount(&found);
    tables.loose = true;
    tables.execute("DELETE FROM contents WHERE link = ?1", [link])?;
    if children > 0 {
        tables.execute("UPDATE links SET state = ?2, bytes = 0, run = NULL WHERE pk = ?1", params![link, GONE])?;
        return Ok(());
    }
    tables.execute("DELETE FROM links WHERE pk = ?1", [link])?;
    leave(tables, found.parent)
}

struct Found {
    link: i64,
    state: i64,
    parent: Option<i64>,
    bytes: u64,
}

impl Found {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { link: row.get(0)?, state: row.get(1)?, parent: row.get(2)?, bytes: row.get(3)? })
    }
}

fn find(tables: &Tables, principal: i64, id: &str) -> rusqlite::Result<Option<Found>> {
    let sql = "SELECT pk, state, parent, bytes FROM links WHERE id = ?1 AND principal = ?2";
    tables.one(sql, params![Id(id), principal], Found::read)
}

/// The number of the link that another one is to go on from. There is a mark for one that is not there.
fn join(tables: &Tables, principal: i64, id: &str) -> rusqlite::Result<i64> {
    let link = match find(tables, principal, id)? {
        Some(found) => found.link,
        None => {
            let sql = "INSERT INTO links (principal, id, state, used, bytes) VALUES (?1, ?2, ?3, 0, 0)";
            tables.execute(sql, params![principal, Id(id), GONE])?;
            tables.db.last_insert_rowid()
        }
    };
    tables.execute("UPDATE links SET children = children + 1 WHERE pk = ?1", [link])?;
    Ok(link)
}

/// One link less goes on from this one. A mark that none needs any more goes too, and so on up the chain.
fn leave(tables: &Tables, mut parent: Option<i64>) -> Result<(), Fault> {
    while let Some(link) = parent.take() {
        let sql = "UPDATE links SET children = children - 1 WHERE pk = ?1 RETURNING children, state, parent";
        let left = tables.one(sql, [link], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if let Some((0, GONE, above)) = left {
            tables.execute("DELETE FROM links WHERE pk = ?1", [link])?;
            parent = above;
        }
    }
    Ok(())
}

impl Tables {
    fn count(&mut self, bytes: u64) {
        self.totals.responses = self.totals.responses.saturating_add(1);
        self.totals.bytes = self.totals.bytes.saturating_add(bytes);
    }

    fn uncount(&mut self, found: &Found) {
        if found.state == KEPT {
            self.totals.responses = self.totals.responses.saturating_sub(1);
            self.totals.bytes = self.totals.bytes.saturating_sub(found.bytes);
        }
    }
}
