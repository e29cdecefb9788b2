//! Notebooks, a row each: they are read and changed as a whole, and are never large. Every run begins with one, so those
//! that were read last are kept in memory.

use super::SqliteStore;
use super::fault::Fault;
use super::tables::Tables;
use crate::core::notes::{Changed, NoteChange, Notebook};
use crate::core::ports::journals::Promise;
use crate::core::ports::notes::{Notes, Scope};
use crate::core::ports::store::StoreError;
use futures_util::future::BoxFuture;
use lru::LruCache;
use rusqlite::{Connection, params};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Notebooks that are kept in memory.
const OPEN: NonZeroUsize = NonZeroUsize::new(256).unwrap(); // invariant: 256 is not 0, as the compiler sees

/// What was read and has not been changed since. Nobody but this process's writer changes notebooks: the database is
/// locked for others.
pub struct Shelf(Mutex<Open>);

struct Open {
    notebooks: LruCache<(String, Scope), Notebook>,
    /// Changes so far. What was read before one may be older than that.
    changes: u64,
}

impl Default for Shelf {
    fn default() -> Self {
        Self(Mutex::new(Open { notebooks: LruCache::new(OPEN), changes: 0 }))
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The notebook, or how many changes there had been when it was looked for.
    fn find(&self, key: &(String, Scope)) -> Result<Notebook, u64> {
        let mut open = self.lock();
        open.notebooks.get(key).cloned().ok_or(open.changes)
    }

    fn keep(&self, key: (String, Scope), notebook: &Notebook, changes: u64) {
        let mut open = self.lock();
        if open.changes == changes {
            open.notebooks.put(key, notebook.clone());
        }
    }

    /// Something was changed, and perhaps more than one: a new notebook may have taken an old one's place.
    fn clear(&self) {
        let mut open = self.lock();
        open.changes = open.changes.wrapping_add(1);
        open.notebooks.clear();
    }
}

/// Goes with a change to the writer, which drops it once that is committed: who has ordered it may be gone by then.
struct Changing(Arc<Shelf>);

impl Drop for Changing {
    fn drop(&mut self) {
        self.0.clear();
    }
}

fn find(db: &Connection, principal: &str, scope: Scope) -> Result<Option<Notebook>, Fault> {
    let sql = "SELECT notebook FROM notes
               WHERE principal = (SELECT pk FROM principals WHERE name = ?1) AND scope = ?2";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![principal, scope])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?)
}

fn change(
    tables: &mut Tables,
    principal: &str,
    scope: Scope,
    change: &NoteChange,
    max_size: usize,
) -> Result<Changed, Fault> {
    let found = find(&tables.db, principal, scope)?;
    let (is_new, before) = (found.is_none(), found.unwrap_or_default());
    let mut notebook = before.clone();
    let outcome = notebook.change(change, max_size);
    if notebook == before {
        return Ok(Changed { outcome, notebook });
    }
    let (principal, json) = (tables.principal(principal)?, serde_json::to_string(&notebook)?);
    let sql = "INSERT INTO notes (principal, scope, changed, notebook) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET changed = excluded.changed, notebook = excluded.notebook";
    tables.execute(sql, params![principal, scope, tables.clock.tick(), json])?;
    // A text that goes must not stay in the log.
    tables.erased |= !matches!(change, NoteChange::Add { .. });
    if is_new {
        make_room(tables, principal)?;
    }
    Ok(Changed { outcome, notebook })
}

fn make_room(tables: &mut Tables, principal: i64) -> Result<(), Fault> {
    let sql = "DELETE FROM notes WHERE (principal, scope) IN
               (SELECT principal, scope FROM notes WHERE principal = ?1 ORDER BY changed DESC LIMIT -1 OFFSET ?2)";
    let gone = tables.execute(sql, params![principal, tables.limits.notebooks])?;
    tables.loose |= gone > 0;
    Ok(())
}

impl Notes for SqliteStore {
    fn notebook(&self, principal: &str, scope: Scope) -> BoxFuture<'_, Result<Notebook, StoreError>> {
        let key = (principal.to_owned(), scope);
        Box::pin(async move {
            let changes = match self.shelf.find(&key) {
                Ok(notebook) => return Ok(notebook),
                Err(changes) => changes,
            };
            let principal = key.0.clone();
            let notebook = self.ask(move |db| Ok(find(db, &principal, scope)?.unwrap_or_default())).await?;
            self.shelf.keep(key, &notebook, changes);
            Ok(notebook)
        })
    }

    fn change_notes(
        &self,
        principal: &str,
        scope: Scope,
        asked: NoteChange,
        max_size: usize,
    ) -> BoxFuture<'_, Result<Changed, StoreError>> {
        let (principal, changing) = (principal.to_owned(), Changing(Arc::clone(&self.shelf)));
        let work = move |tables: &mut Tables| {
            let _until_committed = &changing;
            change(tables, &principal, scope, &asked, max_size)
        };
        Box::pin(async move {
            let changed = self.order(Promise::Outcome, work).await;
            // The writer answers before it drops what it was given.
            self.shelf.clear();
            changed
        })
    }
}
