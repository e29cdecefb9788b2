//! Conversations: each is a row that says which link it goes on from, and the last to be forgotten if it has a name.

use super::SqliteStore;
use super::eviction::Used;
use super::fault::Fault;
use super::forest;
use super::id::Kept;
use super::links::{ADDED, Numbered, Written};
use super::tables::{Share, Tables};
use crate::core::ports::conversations::{Conversation, ConversationKey, Conversations, Taken};
use crate::core::ports::journals::{Fence, Lease, Millis, Promise};
use crate::core::ports::store::{AddedItems, StoreError};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, Params, params};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What one principal may have of them.
const MAX: u64 = 10_000;
const MAX_BYTES: u64 = 16 << 20;

/// A conversation as the forest knows it.
pub struct Row {
    pk: i64,
    pub head: Option<i64>,
    pub is_named: bool,
    bytes: u64,
    fence: Fence,
}

fn row(tables: &Tables, principal: i64, id: &str) -> rusqlite::Result<Option<Row>> {
    let sql = "SELECT pk, head, name IS NOT NULL, bytes, fence FROM conversations WHERE principal = ?1 AND id = ?2";
    tables.one(sql, params![principal, id], |row| {
        let fence = Fence(row.get(4)?);
        Ok(Row { pk: row.get(0)?, head: row.get(1)?, is_named: row.get(2)?, bytes: row.get(3)?, fence })
    })
}

/// The conversation, for the one who took its head with this fence. `None` if it is not there.
pub fn held(tables: &Tables, principal: i64, id: &str, fence: Fence) -> Result<Option<Row>, Fault> {
    match row(tables, principal, id)? {
        Some(row) if row.fence != fence => Err(StoreError::Fenced.into()),
        found => Ok(found),
    }
}

fn take(tables: &Tables, principal: &str, id: &str, lease: &Lease, now: Millis) -> Result<Option<Taken>, Fault> {
    let principal = tables.principal(principal)?;
    let sql = "UPDATE conversations SET owner = ?3, until = ?4, fence = fence + 1
               WHERE principal = ?1 AND id = ?2 AND (owner IS NULL OR owner = ?3 OR until <= ?5) RETURNING fence";
    let params = params![principal, id, &*lease.owner, lease.until, now];
    let taken = tables.one(sql, params, |row| Ok(Taken::Taken(Fence(row.get(0)?))))?;
    if taken.is_some() {
        return Ok(taken);
    }
    let sql = "SELECT until FROM conversations WHERE principal = ?1 AND id = ?2";
    Ok(tables.one(sql, params![principal, id], |row| Ok(Taken::Held { until: row.get(0)? }))?)
}

fn give_back(tables: &Tables, principal: &str, id: &str, fence: Fence) -> Result<(), Fault> {
    let sql = "UPDATE conversations SET owner = NULL WHERE principal = ?1 AND id = ?2 AND fence = ?3";
    match tables.execute(sql, params![tables.principal(principal)?, id, fence.0])? {
        0 => Err(StoreError::Fenced.into()),
        _ => Ok(()),
    }
}

pub fn renew(tables: &Tables, lease: &Lease) -> rusqlite::Result<()> {
    let sql = "UPDATE conversations SET until = ?2 WHERE owner = ?1";
    tables.execute(sql, params![&*lease.owner, lease.until]).map(drop)
}

/// Frees what others had until `now`.
pub fn free(tables: &Tables, owner: &str, now: Millis) -> rusqlite::Result<()> {
    let sql = "UPDATE conversations SET owner = NULL WHERE owner IS NOT NULL AND owner <> ?1 AND until <= ?2";
    tables.execute(sql, params![owner, now]).map(drop)
}

pub fn go_on_to(tables: &Tables, conversation: &Row, head: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE conversations SET head = ?2, used = ?3 WHERE pk = ?1";
    tables.execute(sql, params![conversation.pk, head, tables.clock.tick()]).map(drop)
}

/// Says which link it went on from, which still takes itself for a head. `None` if it is not there.
pub fn forget(tables: &mut Tables, principal: i64, id: &str) -> rusqlite::Result<Option<Row>> {
    let Some(row) = row(tables, principal, id)? else { return Ok(None) };
    tables.execute("DELETE FROM conversations WHERE pk = ?1", [row.pk])?;
    let share = tables.totals.shares.entry(principal).or_default();
    share.conversations = share.conversations.saturating_sub(1);
    share.conversation_bytes = share.conversation_bytes.saturating_sub(row.bytes);
    Ok(Some(row))
}

fn delete(tables: &mut Tables, principal: i64, id: &str) -> Result<bool, Fault> {
    let Some(row) = forget(tables, principal, id)? else { return Ok(false) };
    row.head.map(|head| forest::release_head(tables, head)).transpose()?;
    tables.loose = true;
    Ok(true)
}

const COLUMNS: &str = "SELECT conversations.pk, conversations.id, name, created_at, metadata, removed, links.id
    FROM conversations LEFT JOIN links ON links.pk = conversations.head
    WHERE conversations.principal = (SELECT pk FROM principals WHERE name = ?1)";

/// All that a query gives, with their numbers.
fn read(db: &Connection, sql: &str, params: impl Params) -> Result<Vec<(i64, Arc<Conversation>)>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let json = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
        let conversation = Conversation {
            id: row.get(1)?,
            name: row.get(2)?,
            created_at: row.get(3)?,
            metadata: serde_json::from_str(json(4)?)?,
            removed: serde_json::from_str(json(5)?)?,
            head: row.get::<_, Option<Kept>>(6)?.map(|id| id.0),
        };
        found.push((row.get(0)?, Arc::new(conversation)));
    }
    Ok(found)
}

fn find(db: &Connection, principal: &str, key: &ConversationKey) -> Result<Numbered<Arc<Conversation>>, Fault> {
    let (column, value) = match key {
        ConversationKey::Id(id) => ("conversations.id", id),
        ConversationKey::Name(name) => ("name", name),
    };
    Ok(read(db, &format!("{COLUMNS} AND {column} = ?2"), [principal, value])?.pop())
}

fn list(
    db: &Connection,
    principal: &str,
    after: Option<&str>,
    limit: usize,
    newest_first: bool,
) -> Result<Vec<Arc<Conversation>>, Fault> {
    let (sign, order) = if newest_first { ("<", "DESC") } else { (">", "ASC") };
    let comes = format!("(?2 IS NULL OR conversations.id {sign} ?2) ORDER BY conversations.id {order} LIMIT ?3");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = read(db, &format!("{COLUMNS} AND {comes}"), params![principal, after, limit])?;
    Ok(found.into_iter().map(|(_, conversation)| conversation).collect())
}

fn begin(tables: &mut Tables, principal: &str, new: &Conversation) -> Result<Arc<Conversation>, Fault> {
    let named = new.name.clone().map(ConversationKey::Name);
    let there = named.map(|name| find(&tables.db, principal, &name)).transpose()?.flatten();
    if let Some((pk, there)) = there {
        tables.touched.add(Used::Conversation(pk), tables.clock.tick());
        return Ok(there);
    }
    let (metadata, removed) = (serde_json::to_string(&new.metadata)?, serde_json::to_string(&new.removed)?);
    let (principal, bytes) = (tables.principal(principal)?, weight(new, &metadata, &removed));
    let sql = "INSERT INTO conversations (principal, id, name, created_at, metadata, removed, used, bytes)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (used, Conversation { id, name, created_at, .. }) = (tables.clock.tick(), new);
    tables.execute(sql, params![principal, id, name, created_at, metadata, removed, used, bytes])?;
    let pk = tables.db.last_insert_rowid();
    let share = tables.totals.shares.entry(principal).or_default();
    share.conversations = share.conversations.saturating_add(1);
    share.conversation_bytes = share.conversation_bytes.saturating_add(bytes);
    make_room(tables, principal, pk)?;
    Ok(Arc::new(Conversation { head: None, ..new.clone() }))
}

/// Changes its metadata, or what was taken out of it, for which there is a fence.
fn change(
    tables: &mut Tables,
    principal: &str,
    id: &str,
    fence: Option<Fence>,
    change: impl FnOnce(&mut Conversation),
) -> Result<Option<Arc<Conversation>>, Fault> {
    let found = find(&tables.db, principal, &ConversationKey::Id(id.to_owned()))?;
    let Some((pk, mut conversation)) = found else { return Ok(None) };
    let principal = tables.principal(principal)?;
    fence.map(|fence| held(tables, principal, id, fence)).transpose()?;
    change(Arc::make_mut(&mut conversation));
    let metadata = serde_json::to_string(&conversation.metadata)?;
    let removed = serde_json::to_string(&conversation.removed)?;
    let bytes = weight(&conversation, &metadata, &removed);
    let before = tables.one("SELECT bytes FROM conversations WHERE pk = ?1", [pk], |row| row.get(0))?;
    let sql = "UPDATE conversations SET metadata = ?2, removed = ?3, used = ?4, bytes = ?5 WHERE pk = ?1";
    tables.execute(sql, params![pk, metadata, removed, tables.clock.tick(), bytes])?;
    let share = tables.totals.shares.entry(principal).or_default();
    share.conversation_bytes = share.conversation_bytes.saturating_sub(before.unwrap_or(0)).saturating_add(bytes);
    make_room(tables, principal, pk)?;
    Ok(Some(conversation))
}

/// Bytes that it takes, without its chain.
fn weight(conversation: &Conversation, metadata: &str, removed: &str) -> u64 {
    let name = conversation.name.as_ref().map_or(0, String::len);
    [name, metadata.len(), removed.len()].into_iter().fold(256, usize::saturating_add) as u64
}

/// Keeps to what one principal may have. Those without a name go first.
fn make_room(tables: &mut Tables, principal: i64, kept: i64) -> Result<(), Fault> {
    let is_too_much = |share: &Share| share.conversations > MAX || share.conversation_bytes > MAX_BYTES;
    while tables.totals.shares.get(&principal).is_some_and(is_too_much) {
        let sql = "SELECT id FROM conversations WHERE principal = ?1 AND pk <> ?2
                   ORDER BY name IS NOT NULL, used LIMIT 1";
        let Some(victim) = tables.one(sql, [principal, kept], |row| row.get::<_, String>(0))? else { break };
        delete(tables, principal, &victim)?;
    }
    Ok(())
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Conversations for SqliteStore {
    fn begin_conversation(&self, principal: &str, conversation: Conversation) -> Answer<'_, Arc<Conversation>> {
        let principal = principal.to_owned();
        Box::pin(self.order(Promise::Outcome, move |tables| begin(tables, &principal, &conversation)))
    }

    fn conversation(&self, principal: &str, key: &ConversationKey) -> Answer<'_, Option<Arc<Conversation>>> {
        let (principal, key) = (principal.to_owned(), key.clone());
        Box::pin(async move {
            let found = self.ask(move |db| find(db, &principal, &key)).await?;
            Ok(found.map(|(pk, conversation)| {
                self.touched.add(Used::Conversation(pk), self.clock.tick());
                conversation
            }))
        })
    }

    fn conversations(
        &self,
        principal: &str,
        after: Option<&str>,
        limit: usize,
        newest_first: bool,
    ) -> Answer<'_, Vec<Arc<Conversation>>> {
        let (principal, after) = (principal.to_owned(), after.map(str::to_owned));
        Box::pin(self.ask(move |db| list(db, &principal, after.as_deref(), limit, newest_first)))
    }

    fn set_metadata(
        &self,
        principal: &str,
        id: &str,
        metadata: Map<String, Value>,
    ) -> Answer<'_, Option<Arc<Conversation>>> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(self.order(Promise::Outcome, move |tables| {
            change(tables, &principal, &id, None, |conversation| conversation.metadata.clone_from(&metadata))
        }))
    }

    fn take_head(&self, principal: &str, id: &str, lease: Lease, now: Millis) -> Answer<'_, Option<Taken>> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(self.order(Promise::Process, move |tables| take(tables, &principal, &id, &lease, now)))
    }

    fn give_head_back(&self, principal: &str, id: &str, fence: Fence) -> Answer<'_, ()> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(self.order(Promise::Process, move |tables| give_back(tables, &principal, &id, fence)))
    }

    fn add_items(&self, principal: &str, added: AddedItems, fence: Fence) -> Answer<'_, bool> {
        let (principal, conversation) = (principal.to_owned(), added.conversation.clone());
        Box::pin(async move {
            let written = Written::added(added, fence).map_err(|fault| self.condition.note(fault))?;
            self.order(Promise::Outcome, move |tables| {
                let owner = tables.principal(&principal)?;
                if row(tables, owner, &conversation)?.is_none() {
                    return Ok(false);
                }
                forest::put(tables, &principal, &written, ADDED, None)?;
                Ok(true)
            })
            .await
        })
    }

    fn remove_items(
        &self,
        principal: &str,
        id: &str,
        items: Vec<String>,
        fence: Fence,
    ) -> Answer<'_, Option<Arc<Conversation>>> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(self.order(Promise::Outcome, move |tables| {
            let remove = |conversation: &mut Conversation| conversation.removed.extend(items.iter().cloned());
            change(tables, &principal, &id, Some(fence), remove)
        }))
    }

    fn delete_conversation(&self, principal: &str, id: &str) -> Answer<'_, bool> {
        let (principal, id) = (principal.to_owned(), id.to_owned());
        Box::pin(self.order(Promise::Outcome, move |tables| {
            let principal = tables.principal(&principal)?;
            let was_there = delete(tables, principal, &id)?;
            tables.erased |= was_there;
            Ok(was_there)
        }))
    }
}
