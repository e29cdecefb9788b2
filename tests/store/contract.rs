//! What the ports promise, clause by clause, for every store.

mod journals;
mod leases;
mod responses;

use nuncio::store::memory::MemoryStore;
use std::num::NonZeroUsize;

fn memory() -> MemoryStore {
    MemoryStore::new(NonZeroUsize::MIN.saturating_add(99))
}

/// A test of each clause for each store.
macro_rules! clauses {
    ($($clause:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $clause() {
                super::$clause(&crate::contract::memory()).await;
            })*
        }
    };
}

use clauses;
