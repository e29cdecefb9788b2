//! What the ports promise, clause by clause, for every store.

mod conversations;
mod heads;
mod items;
mod journals;
mod leases;
mod notes;
mod responses;

use nuncio::core::ports::store::{Chain, Link};
use nuncio::store::memory::MemoryStore;
use nuncio::store::sqlite::{Settings, SqliteStore};
use std::num::NonZeroUsize;
use tempfile::TempDir;

fn memory() -> MemoryStore {
    MemoryStore::new(NonZeroUsize::MIN.saturating_add(99))
}

fn sqlite(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&Settings::at(&folder.path().join("nuncio.db"))).unwrap()
}

/// The ids of a chain, with a `-` for what is gone.
fn ids(chain: Option<Chain>) -> String {
    let word = |link: &Link| if matches!(link, Link::Gone { .. }) { "-".to_owned() } else { link.id().to_owned() };
    chain.map_or_else(|| "none".into(), |chain| chain.iter().map(word).collect::<Vec<_>>().join(" "))
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

        mod sqlite {
            $(#[tokio::test]
            async fn $clause() {
                let folder = tempfile::tempdir().unwrap();
                super::$clause(&crate::contract::sqlite(&folder)).await;
            })*
        }
    };
}

use clauses;
