//! Turns in a conversation among processes that share a store.

use crate::Subject;
use crate::make::lease;
use nuncio::core::ports::conversations::{Conversation, Taken};
use nuncio::core::ports::journals::{END_OF_TIME, Fence};
use nuncio::runs::Runs;
use nuncio::runs::registry::RunsSettings;
use nuncio::runs::turns::Place;
use nuncio::store::memory::MemoryStore;
use nuncio::store::sqlite::{Settings, SqliteStore};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

fn process(store: &Arc<impl Subject + 'static>) -> Runs {
    let workspaces = Path::new("/nowhere").into();
    let settings = RunsSettings { max_runs: 9, workspaces, slow_client_timeout: Duration::from_secs(1) };
    Runs::new(settings, Arc::clone(store) as _)
}

fn line_up(runs: &Runs) -> Place {
    runs.line_up(&"ann".into(), "c").unwrap()
}

/// The fence of a turn that comes.
async fn came(place: &Place) -> Fence {
    timeout(Duration::from_secs(20), place.turn()).await.expect("its turn does not come").unwrap();
    place.fence().unwrap()
}

/// Still waits after having asked for it more than once.
async fn waits(place: &Place) -> bool {
    timeout(Duration::from_millis(100), place.turn()).await.is_err()
}

async fn one_process_after_the_other(store: impl Subject + 'static) {
    let store = Arc::new(store);
    let (one, other) = (process(&store), process(&store));
    assert_eq!((line_up(&one).turn().await, line_up(&one).fence()), (Ok(()), None), "there is no conversation");
    store.begin_conversation("ann", Conversation { id: "c".into(), ..Conversation::default() }).await.unwrap();
    // What a crash has left, as the next process knows it.
    let dead = store.take_head("ann", "c", lease("dead", END_OF_TIME - 1), 0).await;
    assert_eq!(dead, Ok(Some(Taken::Taken(Fence(1)))));
    let (first, second, theirs) = (line_up(&one), line_up(&one), line_up(&other));
    assert!(waits(&first).await);
    one.left_behind(END_OF_TIME).await.unwrap();
    let fence = came(&first).await;
    assert!(waits(&second).await && waits(&theirs).await);
    drop(first);
    assert_eq!(came(&second).await, fence, "it is taken once for all that stand in line");
    assert!(waits(&theirs).await);
    drop(second);
    assert!(came(&theirs).await > fence);
    // Who does not wait to the end leaves nothing behind.
    let gives_up = line_up(&one);
    assert!(waits(&gives_up).await);
    drop((gives_up, theirs));
    for runs in [&other, &one, &other] {
        came(&line_up(runs)).await;
    }
}

#[tokio::test]
async fn in_memory_one_process_after_the_other() {
    one_process_after_the_other(MemoryStore::new(NonZeroUsize::MIN)).await;
}

#[tokio::test]
async fn in_sqlite_one_process_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    one_process_after_the_other(SqliteStore::open(&Settings::at(&folder.path().join("nuncio.db"))).unwrap()).await;
}
