//! Notebooks, a row each: they are read and changed as a whole, and are never large.

use super::SqliteStore;
use super::fault::Fault;
use super::tables::Tables;
use crate::core::notes::{Changed, NoteChange, Notebook};
use crate::core::ports::journals::Promise;
use crate::core::ports::notes::{Notes, Scope};
use crate::core::ports::store::StoreError;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, params};

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
        let principal = principal.to_owned();
        Box::pin(self.ask(move |db| Ok(find(db, &principal, scope)?.unwrap_or_default())))
    }

    fn change_notes(
        &self,
        principal: &str,
        scope: Scope,
        asked: NoteChange,
        max_size: usize,
    ) -> BoxFuture<'_, Result<Changed, StoreError>> {
        let principal = principal.to_owned();
        let work = move |tables: &mut Tables| change(tables, &principal, scope, &asked, max_size);
        Box::pin(self.order(Promise::Outcome, work))
    }
}
