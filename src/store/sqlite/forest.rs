//! The forest that the links make: each knows what it goes on from, and how many go on from it.

use super::conversations;
use super::fault::Fault;
use super::id::{Id, Kept};
use super::items;
use super::links::{ADDED, GONE, KEPT, MISSING, RUNNING, Written};
use super::runs::Ended;
use super::sessions;
use super::tables::Tables;
use crate::core::journal::Journal;
use crate::core::ports::journals::{Ending, Fence};
use crate::core::ports::store::StoreError;
use rusqlite::{Row, params};
use uuid::Uuid;

/// What is known of a link without reading what it says.
struct Found {
    link: i64,
    principal: i64,
    state: i64,
    parent: Option<i64>,
    children: i64,
    head: i64,
    bytes: u64,
    conversation: Option<Kept>,
}

const FOUND: &str = "SELECT pk, principal, state, parent, children, head, bytes, conversation FROM links";

impl Found {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            link: row.get(0)?,
            principal: row.get(1)?,
            state: row.get(2)?,
            parent: row.get(3)?,
            children: row.get(4)?,
            head: row.get(5)?,
            bytes: row.get(6)?,
            conversation: row.get(7)?,
        })
    }

    fn is_stood_on(&self) -> bool {
        self.children > 0 || self.head > 0
    }
}

fn find(tables: &Tables, principal: i64, id: &str) -> rusqlite::Result<Option<Found>> {
    tables.one(&format!("{FOUND} WHERE id = ?1 AND principal = ?2"), params![Id(id), principal], Found::read)
}

fn get(tables: &Tables, link: i64) -> rusqlite::Result<Option<Found>> {
    tables.one(&format!("{FOUND} WHERE pk = ?1"), [link], Found::read)
}

/// Where a link goes: what it goes on from, and the conversation that it becomes the head of.
struct Place {
    parent: Option<i64>,
    conversation: Option<conversations::Row>,
}

impl Place {
    /// Where a conversation is named, that says what it goes on from; where that is gone, it goes on from `previous`.
    fn of(
        tables: &Tables,
        principal: i64,
        there: Option<&Found>,
        previous: Option<&str>,
        conversation: Option<&(String, Fence)>,
    ) -> Result<Self, Fault> {
        let held = |(id, fence): &(String, Fence)| conversations::held(tables, principal, id, *fence);
        let named = conversation.map(held).transpose()?.flatten();
        let parent = match (&named, there) {
            // It is the head already.
            (Some(named), Some(there)) if named.head == Some(there.link) => there.parent,
            (Some(named), _) => named.head,
            (None, _) => previous.map(|previous| find_or_mark(tables, principal, previous)).transpose()?,
        };
        Ok(Self { parent, conversation: named })
    }

    fn conversation_id<'a>(&self, named: Option<&'a (String, Fence)>) -> Option<Id<'a>> {
        named.filter(|_| self.conversation.is_some()).map(|(id, _)| Id(id))
    }

    /// Counts the link among those that go on from its parent, and makes it the head of its conversation.
    fn take(&self, tables: &mut Tables, link: i64, before: Option<i64>) -> Result<(), Fault> {
        if self.parent != before {
            let sql = "UPDATE links SET children = children + 1 WHERE pk = ?1";
            self.parent.map(|parent| tables.execute(sql, [parent])).transpose()?;
            leave(tables, before)?;
        }
        let Some(conversation) = &self.conversation else { return Ok(()) };
        conversations::go_on_to(tables, conversation, link)?;
        if conversation.head != Some(link) {
            set_head(tables, link, if conversation.is_named { 2 } else { 1 })?;
            conversation.head.map(|head| set_head(tables, head, 0)).transpose()?;
        }
        Ok(())
    }
}

/// The number of the link that another one is to go on from. There is a mark for one that is not there.
fn find_or_mark(tables: &Tables, principal: i64, id: &str) -> rusqlite::Result<i64> {
    if let Some(found) = find(tables, principal, id)? {
        return Ok(found.link);
    }
    let sql = "INSERT INTO links (principal, id, state, stored, used, bytes) VALUES (?1, ?2, ?3, 0, 0, 0)";
    tables.execute(sql, params![principal, Id(id), MISSING])?;
    Ok(tables.db.last_insert_rowid())
}

/// Writes a link where its id says: anew, or in place of one of the same id that is over or gone.
pub fn put(tables: &mut Tables, principal: &str, new: &Written, state: i64, run: Option<Uuid>) -> Result<i64, Fault> {
    let principal = tables.principal(principal)?;
    let old = find(tables, principal, &new.id)?;
    if old.as_ref().is_some_and(|old| old.state == RUNNING || (old.state, state) == (KEPT, RUNNING)) {
        return Err(StoreError::Failed(format!("there is a response {} already", new.id)).into());
    }
    let conversation = new.conversation.as_ref();
    let place = Place::of(tables, principal, old.as_ref(), new.previous.as_deref(), conversation)?;
    let (now, bytes, conversation) = (tables.clock.tick(), new.bytes(), place.conversation_id(conversation));
    let link = match &old {
        None => {
            let sql = "INSERT INTO links (principal, id, parent, state, conversation, stored, used, bytes, run, keys)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)";
            let id = Id(&new.id);
            tables
                .execute(sql, params![principal, id, place.parent, state, conversation, now, bytes, run, new.keys])?;
            tables.db.last_insert_rowid()
        }
        Some(old) => {
            items::forget(tables, old.link)?;
            tables.uncount(old);
            tables.changed.push(old.link);
            let sql = "UPDATE links SET parent = ?2, state = ?3, conversation = ?4, stored = ?5, used = ?5, bytes = ?6,
                       run = ?7, keys = ?8 WHERE pk = ?1";
            tables.execute(sql, params![old.link, place.parent, state, conversation, now, bytes, run, new.keys])?;
            old.link
        }
    };
    let sql = "INSERT OR REPLACE INTO contents
               (link, ended_at, outcome, head, instructions, input, journal, request)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Written { ended_at, outcome, head, instructions, input, journal, request, .. } = new;
    tables.execute(sql, params![link, ended_at, outcome, head, instructions, input, journal, request])?;
    if state != RUNNING {
        tables.count(principal, state, bytes);
        items::add(tables, link, &new.keys)?;
    }
    place.take(tables, link, old.and_then(|old| old.parent))?;
    Ok(link)
}

/// Makes the response of a run that has ended one that can be asked for.
pub fn end(tables: &mut Tables, link: i64, ended: &Ended) -> Result<(), Fault> {
    let begun = get(tables, link)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let (place, ended_at, conversation) = match &ended.ending {
        None => (Place { parent: begun.parent, conversation: None }, None, None),
        Some(Ending { at, previous, conversation, .. }) => {
            let (previous, conversation) = (previous.as_deref(), conversation.as_ref());
            let place = Place::of(tables, begun.principal, Some(&begun), previous, conversation)?;
            let conversation = place.conversation_id(conversation);
            (place, Some(*at), conversation)
        }
    };
    let sql = "UPDATE contents SET ended_at = ?2, outcome = ?3, journal = ?4, request = NULL WHERE link = ?1";
    tables.execute(sql, params![link, ended_at, ended.outcome, ended.journal])?;
    let sql =
        "UPDATE links SET state = 1, parent = ?2, conversation = ?3, stored = ?4, used = ?4, bytes = ?5, keys = ?6
               WHERE pk = ?1";
    let bytes = begun.bytes.saturating_add(ended.journal.len() as u64);
    let brought = tables.one("SELECT keys FROM links WHERE pk = ?1", [link], |row| row.get::<_, Option<Vec<u8>>>(0))?;
    let mut keys = brought.flatten().unwrap_or_default();
    keys.extend_from_slice(&ended.keys);
    tables.execute(sql, params![link, place.parent, conversation, tables.clock.tick(), bytes, keys])?;
    tables.count(begun.principal, KEPT, bytes);
    items::add(tables, link, &keys)?;
    place.take(tables, link, begun.parent)
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

/// Takes a link away for lack of room. A conversation that has lost its end is none.
pub fn give_up(tables: &mut Tables, link: i64) -> Result<(), Fault> {
    let Some(found) = get(tables, link)? else { return Ok(()) };
    if let Some(Kept(conversation)) = found.conversation.filter(|_| found.head > 0) {
        conversations::forget(tables, found.principal, &conversation)?;
        set_head(tables, link, 0)?;
    }
    remove(tables, link)
}

/// No conversation goes on from this link any more.
pub fn release_head(tables: &mut Tables, link: i64) -> Result<(), Fault> {
    set_head(tables, link, 0)?;
    free(tables, link)
}

fn set_head(tables: &Tables, link: i64, head: i64) -> rusqlite::Result<()> {
    tables.execute("UPDATE links SET head = ?2 WHERE pk = ?1", [link, head]).map(drop)
}

/// Takes a link away. Where others stand on it, what it held is forgotten and its place is kept.
fn remove(tables: &mut Tables, link: i64) -> Result<(), Fault> {
    let Some(found) = get(tables, link)? else { return Ok(()) };
    empty(tables, &found)?;
    if !found.is_stood_on() {
        tables.execute("DELETE FROM links WHERE pk = ?1", [link])?;
        return leave(tables, found.parent);
    }
    if found.state != GONE {
        tables.execute(
            "UPDATE links SET state = ?2, bytes = 0, run = NULL, keys = NULL WHERE pk = ?1",
            params![link, GONE],
        )?;
        join_with_the_gap_before(tables, &found)?;
        if let Some(after) = gap_after(tables, &found)? {
            join_with_the_gap_before(tables, &after)?;
        }
    }
    Ok(())
}

/// Forgets what a link holds.
fn empty(tables: &mut Tables, found: &Found) -> rusqlite::Result<()> {
    tables.changed.push(found.link);
    if holds_something(found.state) {
        items::forget(tables, found.link)?;
        tables.execute("DELETE FROM contents WHERE link = ?1", [found.link])?;
        tables.uncount(found);
        tables.loose = true;
    }
    Ok(())
}

fn holds_something(state: i64) -> bool {
    state == KEPT || state == ADDED
}

/// The gap that goes on from a link, which may be deleted before what it stands on.
fn gap_after(tables: &Tables, found: &Found) -> rusqlite::Result<Option<Found>> {
    tables.one(&format!("{FOUND} WHERE parent = ?1 AND state = {GONE}"), [found.link], Found::read)
}

/// One gap is as good as two, and a chain that loses its oldest links for ever must not leave one for each.
fn join_with_the_gap_before(tables: &Tables, found: &Found) -> rusqlite::Result<()> {
    let before = found.parent.map(|parent| get(tables, parent)).transpose()?.flatten();
    let Some(gap) = before.filter(|gap| gap.state == GONE && gap.children == 1 && gap.head == 0) else { return Ok(()) };
    tables.execute("UPDATE links SET parent = ?2 WHERE pk = ?1", params![found.link, gap.parent])?;
    tables.execute("DELETE FROM links WHERE pk = ?1", [gap.link]).map(drop)
}

/// One link less goes on from this one.
fn leave(tables: &mut Tables, parent: Option<i64>) -> Result<(), Fault> {
    let Some(parent) = parent else { return Ok(()) };
    tables.execute("UPDATE links SET children = children - 1 WHERE pk = ?1", [parent])?;
    free(tables, parent)
}

/// Frees a link that cannot be asked for and that nothing stands on, and what that sets free.
fn free(tables: &mut Tables, link: i64) -> Result<(), Fault> {
    let mut next = Some(link);
    while let Some(link) = next.take() {
        let is_free = |found: &Found| !found.is_stood_on() && matches!(found.state, GONE | ADDED | MISSING);
        let Some(found) = get(tables, link)?.filter(is_free) else { break };
        empty(tables, &found)?;
        tables.execute("DELETE FROM links WHERE pk = ?1", [link])?;
        if let Some(parent) = found.parent {
            tables.execute("UPDATE links SET children = children - 1 WHERE pk = ?1", [parent])?;
            next = Some(parent);
        }
    }
    Ok(())
}

impl Tables {
    fn count(&mut self, principal: i64, state: i64, bytes: u64) {
        let share = self.totals.shares.entry(principal).or_default();
        share.links = share.links.saturating_add(1);
        share.bytes = share.bytes.saturating_add(bytes);
        self.totals.responses = self.totals.responses.saturating_add(u64::from(state == KEPT));
        if !self.writers.contains(&principal) {
            self.writers.push(principal);
        }
    }

    fn uncount(&mut self, found: &Found) {
        if holds_something(found.state) {
            let share = self.totals.shares.entry(found.principal).or_default();
            share.links = share.links.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(found.bytes);
            self.totals.responses = self.totals.responses.saturating_sub(u64::from(found.state == KEPT));
        }
    }
}
