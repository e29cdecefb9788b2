//! Links as they are written and read: each with its own part alone, and with a pointer to what it goes on from.

use super::chains::{Chains, Read};
use super::fault::Fault;
use super::id::{Id, Kept};
use super::items;
use crate::core::event::Outcome;
use crate::core::journal::Journal;
use crate::core::ports::journals::Fence;
use crate::core::ports::store::{AddedItems, Link, StoredResponse, Turn};
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

pub const RUNNING: i64 = 0;
pub const KEPT: i64 = 1;
pub const GONE: i64 = 2;
pub const ADDED: i64 = 3;
pub const MISSING: i64 = 4;

/// What was found, if anything, and the number of the row that it is in.
pub type Numbered<T> = Option<(i64, T)>;

/// A link as it is written.
#[derive(Default)]
pub struct Written {
    pub id: String,
    pub previous: Option<String>,
    /// And the fence of who has its head.
    pub conversation: Option<(String, Fence)>,
    pub ended_at: Option<u64>,
    pub outcome: Option<String>,
    pub head: String,
    pub instructions: Option<String>,
    pub input: String,
    /// `None` for a run in progress, and for items without a response.
    pub journal: Option<String>,
    pub request: Option<String>,
    /// See [`items::numbers`].
    pub keys: Vec<u8>,
}

impl Written {
    /// A response that is over.
    pub fn of(mut response: StoredResponse, fence: Option<Fence>) -> Result<Self, Fault> {
        let (journal, outcome) = (response.journal.pack(), outcome(&response.journal)?);
        let keys = items::numbers(response.input.iter().chain(&*response.output));
        let conversation = response.conversation.take().zip(fence);
        Ok(Self { conversation, journal: Some(journal), outcome, keys, ..Self::begun(response, None)? })
    }

    /// One whose run begins. It is no part of a conversation until that is over.
    pub fn begun(response: StoredResponse, request: Option<String>) -> Result<Self, Fault> {
        let StoredResponse { id, previous, instructions, input, head, ended_at, .. } = response;
        let (keys, input) = (items::numbers(input.iter()), serde_json::to_string(&input)?);
        let (conversation, outcome, journal) = (None, None, None);
        Ok(Self { id, previous, conversation, ended_at, outcome, head, instructions, input, journal, request, keys })
    }

    pub fn added(added: AddedItems, fence: Fence) -> Result<Self, Fault> {
        let AddedItems { id, previous, conversation, items } = added;
        let (keys, input) = (items::numbers(items.iter()), serde_json::to_string(&items)?);
        Ok(Self { id, previous, conversation: Some((conversation, fence)), input, keys, ..Self::default() })
    }

    pub fn bytes(&self) -> u64 {
        let texts = [Some(&self.head), self.instructions.as_ref(), Some(&self.input), self.journal.as_ref()];
        texts.into_iter().flatten().map(String::len).fold(0, usize::saturating_add) as u64
    }
}

/// How a run ended, as it is written: nothing for the usual end.
pub fn outcome(journal: &Journal) -> Result<Option<String>, serde_json::Error> {
    let unusual = journal.outcome().filter(|outcome| **outcome != Outcome::Completed);
    unusual.map(serde_json::to_string).transpose()
}

/// What a link is read from.
const COLUMNS: &str = "links.pk, links.state, links.id, links.parent, parents.id, links.conversation,
    contents.input, contents.ended_at, contents.instructions, contents.head, contents.journal";
const TABLES: &str = "LEFT JOIN contents ON contents.link = links.pk
    LEFT JOIN links AS parents ON parents.pk = links.parent";

/// Reads a link. `None` for one that was never there.
fn read(row: &Row<'_>) -> Result<Option<Link>, Fault> {
    let kept = |at: usize| row.get::<_, Option<Kept>>(at).map(|id| id.map(|id| id.0));
    let state: i64 = row.get(1)?;
    let (id, previous, conversation) = (row.get::<_, Kept>(2)?.0, kept(4)?, kept(5)?);
    if state == GONE {
        return Ok(Some(Link::Gone { id, previous, conversation }));
    }
    if state == MISSING {
        return Ok(None);
    }
    let input: Turn = serde_json::from_str(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?)?;
    if state == ADDED {
        let conversation = conversation.unwrap_or_default();
        return Ok(Some(Link::Items(Arc::new(AddedItems { id, previous, conversation, items: input }))));
    }
    let journal = row.get_ref(10)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    let journal = journal.map(Journal::unpack).transpose()?.unwrap_or_default();
    Ok(Some(Link::Response(Arc::new(StoredResponse {
        id,
        previous,
        conversation,
        input,
        ended_at: row.get(7)?,
        instructions: row.get(8)?,
        head: row.get(9)?,
        output: journal.items().into(),
        journal: Arc::new(journal),
    }))))
}

/// A response.
pub fn response(db: &Connection, principal: &str, id: &str) -> Result<Numbered<Arc<StoredResponse>>, Fault> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM links {TABLES}
         WHERE links.id = ?1 AND links.principal = (SELECT pk FROM principals WHERE name = ?2) AND links.state = 1"
    ))?;
    let mut rows = statement.query(params![Id(id), principal])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    match read(row)? {
        Some(Link::Response(response)) => Ok(Some((row.get(0)?, response))),
        _ => Ok(None),
    }
}

/// The link of a number.
pub fn of_link(db: &Connection, link: i64) -> Result<Link, Fault> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM links {TABLES} WHERE links.pk = ?1"))?;
    let mut rows = statement.query([link])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(read(row)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

/// The chain that ends with a link, of which only that is read where the others are known.
pub fn chain(db: &Connection, principal: &str, id: &str, known: &Chains) -> Result<Option<Read>, Fault> {
    let changes = known.changes();
    let read = match gone_on_from(db, principal, id, known)? {
        Some(read) => Some(read),
        None => whole_chain(db, principal, id)?,
    };
    if let Some(read) = &read {
        known.keep(read, changes);
    }
    Ok(read)
}

/// The chain of a link that goes on from one that is known.
fn gone_on_from(db: &Connection, principal: &str, id: &str, known: &Chains) -> Result<Option<Read>, Fault> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM links {TABLES}
         WHERE links.id = ?1 AND links.principal = (SELECT pk FROM principals WHERE name = ?2)"
    ))?;
    let mut rows = statement.query(params![Id(id), principal])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (number, state, parent): (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(3)?);
    if let Some(read) = known.ending_with(number) {
        return Ok(Some(read));
    }
    let Some(mut chain) = parent.and_then(|parent| known.ending_with(parent)) else { return Ok(None) };
    if state == RUNNING {
        return Ok(None);
    }
    let Some(link) = read(row)? else { return Ok(None) };
    chain.push(number, link);
    Ok(Some(chain))
}

fn whole_chain(db: &Connection, principal: &str, id: &str) -> Result<Option<Read>, Fault> {
    // From the end to the first one; a circle would end where it closes.
    let mut statement = db.prepare_cached(&format!(
        "WITH RECURSIVE chain (link, parent) AS (
             SELECT pk, parent FROM links
             WHERE id = ?1 AND principal = (SELECT pk FROM principals WHERE name = ?2)
             UNION
             SELECT links.pk, links.parent FROM chain CROSS JOIN links ON links.pk = chain.parent
         )
         SELECT {COLUMNS} FROM chain CROSS JOIN links ON links.pk = chain.link {TABLES}"
    ))?;
    let mut rows = statement.query(params![Id(id), principal])?;
    let (mut next, mut chain) = (None, Read::default());
    while let Some(row) = rows.next()? {
        let (number, state): (i64, i64) = (row.get(0)?, row.get(1)?);
        if state == RUNNING || next.is_some_and(|next| next != Some(number)) {
            return Ok(None);
        }
        let Some(link) = read(row)? else { return Ok(None) };
        next = Some(row.get::<_, Option<i64>>(3)?);
        chain.push(number, link);
    }
    chain.reverse();
    Ok(Some(chain).filter(|_| next == Some(None)))
}
