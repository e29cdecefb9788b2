//! What is forgotten, when, and what becomes of the room it took.

use crate::make::{lease, message, response, turn};
use nuncio::core::item::Role;
use nuncio::core::ports::journals::Journals;
use nuncio::core::ports::store::{Store, StoredResponse};
use nuncio::store::sqlite::{Settings, SqliteStore};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn open(folder: &Path, set: impl FnOnce(&mut Settings)) -> SqliteStore {
    let mut settings = Settings::at(&folder.join("nuncio.db"));
    set(&mut settings);
    SqliteStore::open(&settings).unwrap()
}

/// Waits for what the store does when it has nothing else to do.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen");
}

#[tokio::test]
async fn a_lower_limit_holds_from_the_next_start_and_gives_the_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), |_| {});
    let large = |number: usize| StoredResponse {
        input: [Arc::new(message("msg_1", Role::User, &"x".repeat(20_000)))].into(),
        ..response(&format!("r{number}"), None)
    };
    for number in 0..400 {
        store.keep_response("ann", large(number)).await.unwrap();
    }
    assert!(store.health().bytes > 8_000_000, "{:?}", store.health());
    drop(store);
    let store = open(folder.path(), |settings| settings.max_responses = 5);
    until(|| store.health().responses == 5).await;
    // Some of it is kept for what comes next.
    until(|| store.health().bytes < 3_000_000).await;
    let mut left = Vec::new();
    for number in 0..400 {
        left.push(store.response("ann", &format!("r{number}")).await.unwrap().is_some());
    }
    assert_eq!((left.iter().filter(|left| **left).count(), &left[395..]), (5, &[true; 5][..]));
}

#[tokio::test]
async fn what_nobody_uses_gets_too_old() {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), |settings| {
        settings.clock = || NOW.load(Ordering::Relaxed);
        settings.max_age = Some(Duration::from_secs(60));
    });
    for (id, previous) in [("root", None), ("used", Some("root")), ("idle", None)] {
        store.keep_response("ann", response(id, previous)).await.unwrap();
    }
    NOW.fetch_add(59_000, Ordering::Relaxed);
    assert_eq!(store.chain("ann", "used").await.unwrap().unwrap().len(), 2);
    NOW.fetch_add(2_000, Ordering::Relaxed);
    // Something to do, after which it looks around.
    store.renew(lease("nobody", 0)).await.unwrap();
    until(|| store.health().responses == 2).await;
    assert_eq!(store.response("ann", "idle").await.unwrap(), None);
    assert_eq!(store.chain("ann", "used").await.unwrap().unwrap().len(), 2, "also what is only stood on");
    NOW.fetch_add(61_000, Ordering::Relaxed);
    store.renew(lease("nobody", 0)).await.unwrap();
    until(|| store.health().responses == 0).await;
}

#[tokio::test]
async fn sessions_and_waiting_turns_are_bounded_and_the_oldest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), |settings| settings.max_sessions = 2);
    for fingerprint in [1, 2, 1, 3] {
        store.remember_session("ann", [fingerprint; 32], "s".into()).await.unwrap();
    }
    let mut known = Vec::new();
    for fingerprint in [1, 2, 3] {
        known.push(store.session("ann", [fingerprint; 32]).await.unwrap().is_some());
    }
    assert_eq!(known, [true, false, true]);

    store.keep_turn("ann", &["first".into()], turn("")).await.unwrap();
    store.keep_turn("ann", &["second".into()], turn("")).await.unwrap();
    let calls: Vec<[String; 1]> = (0..4095).map(|number| [format!("c{number}")]).collect();
    let keep = calls.iter().map(|call| store.keep_turn("ann", call, turn("")));
    futures_util::future::join_all(keep).await.into_iter().for_each(Result::unwrap);
    let mut known = Vec::new();
    for call in ["first", "second", "c0", "c4094"] {
        known.push(store.turn("ann", call).await.unwrap().is_some());
    }
    assert_eq!(known, [false, true, true, true]);
}
