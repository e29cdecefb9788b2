//! Notebooks in memory.

use super::MemoryStore;
use crate::core::notes::{Changed, NoteChange, Notebook};
use crate::core::ports::notes::{Notes, Scope};
use crate::core::ports::store::StoreError;
use futures_util::future::{BoxFuture, FutureExt, ready};
use lru::LruCache;
use std::collections::HashMap;
use std::num::NonZeroUsize;

/// By principal: none can push out what belongs to another. Principals are as many as the configuration has keys.
pub struct Notebooks {
    by_principal: HashMap<String, LruCache<Scope, Notebook>>,
    /// Of each principal.
    limit: NonZeroUsize,
}

impl Notebooks {
    pub fn up_to(limit: NonZeroUsize) -> Self {
        Self { by_principal: HashMap::new(), limit }
    }

    /// Reading is no use: what is not changed for long is the first to go, as in the other store.
    fn read(&self, principal: &str, scope: Scope) -> Notebook {
        self.by_principal.get(principal).and_then(|books| books.peek(&scope)).cloned().unwrap_or_default()
    }

    fn change(&mut self, principal: &str, scope: Scope, change: &NoteChange, max_size: usize) -> Changed {
        let before = self.read(principal, scope);
        let mut notebook = before.clone();
        let outcome = notebook.change(change, max_size);
        if notebook != before {
            let limit = self.limit;
            let books = self.by_principal.entry(principal.to_owned()).or_insert_with(|| LruCache::new(limit));
            books.put(scope, notebook.clone());
        }
        Changed { outcome, notebook }
    }
}

impl Notes for MemoryStore {
    fn notebook(&self, principal: &str, scope: Scope) -> BoxFuture<'_, Result<Notebook, StoreError>> {
        ready(Ok(self.notebooks().read(principal, scope))).boxed()
    }

    fn change_notes(
        &self,
        principal: &str,
        scope: Scope,
        change: NoteChange,
        max_size: usize,
    ) -> BoxFuture<'_, Result<Changed, StoreError>> {
        ready(Ok(self.notebooks().change(principal, scope, &change, max_size))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notebook_that_was_not_changed_for_longest_makes_room() {
        let mut books = Notebooks::up_to(NonZeroUsize::MIN.saturating_add(1));
        let mut add = |principal: &str, scope: u8, text: &str| {
            books.change(principal, [scope; 32], &NoteChange::Add { text: text.into() }, 1000).outcome.unwrap();
        };
        add("bob", 1, "of another principal");
        for (scope, text) in [(1, "a"), (2, "b"), (1, "c"), (3, "d")] {
            add("ann", scope, text);
        }
        let left = [1, 2, 3].map(|scope| books.read("ann", [scope; 32]).notes().len());
        assert_eq!((left, books.read("bob", [1; 32]).notes().len()), ([2, 0, 1], 1));
    }
}
