//! What is forgotten, when, and what becomes of the room it took.

use crate::make::{lease, message, response, turn};
use nuncio::core::item::Role;
use nuncio::core::ports::conversations::{Conversation, ConversationKey, Conversations};
use nuncio::core::ports::journals::{Fence, Journals};
use nuncio::core::ports::store::{Link, Store, StoredResponse};
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
        store.keep_response("ann", large(number), None).await.unwrap();
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
        store.keep_response("ann", response(id, previous), None).await.unwrap();
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

/// Stores responses in a conversation, the first of which begins it.
async fn say(store: &SqliteStore, principal: &str, conversation: &str, name: Option<&str>, ids: &[&str]) {
    let new = Conversation { id: conversation.into(), name: name.map(str::to_owned), ..Conversation::default() };
    if store.conversation(principal, &ConversationKey::Id(conversation.into())).await.unwrap().is_none() {
        store.begin_conversation(principal, new).await.unwrap();
    }
    for id in ids {
        let said = StoredResponse { conversation: Some(conversation.to_owned()), ..response(id, None) };
        store.keep_response(principal, said, Some(Fence::FIRST)).await.unwrap();
    }
}

/// The ids of a conversation, with a `-` for what is gone.
async fn told(store: &SqliteStore, principal: &str, conversation: &str) -> String {
    let found = store.conversation(principal, &ConversationKey::Id(conversation.to_owned())).await.unwrap();
    let Some(head) = found.and_then(|found| found.head.clone()) else { return "none".into() };
    let word = |link: &Link| if matches!(link, Link::Gone { .. }) { "-".to_owned() } else { link.id().to_owned() };
    let chain = store.chain(principal, &head).await.unwrap();
    chain.map_or_else(|| "broken".into(), |chain| chain.iter().map(word).collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn what_others_write_never_costs_anybody_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), |settings| settings.max_responses = 6);
    say(&store, "ann", "n", Some("named"), &["n1", "n2", "n3"]).await;
    say(&store, "ann", "u", None, &["u1"]).await;
    // Bob has many things to say, none of them under a name.
    for number in 0..20 {
        store.keep_response("bob", response(&format!("b{number}"), None), None).await.unwrap();
    }
    assert_eq!([told(&store, "ann", "n").await, told(&store, "ann", "u").await], ["n1 n2 n3", "none"]);
    // And then very many in one that has one: it is his own history that goes.
    for number in 0..20 {
        say(&store, "bob", "m", Some("named"), &[&format!("m{number}")]).await;
    }
    assert_eq!(told(&store, "ann", "n").await, "n1 n2 n3");
    assert_eq!(told(&store, "bob", "m").await, "- m18 m19", "of what is left bob's last response is one");
    // Of conversations of one turn each he loses his own, and ann not even what is only stood on of hers.
    for number in 0..20 {
        say(&store, "bob", &format!("c{number}"), Some(&format!("c{number}")), &[&format!("r{number}")]).await;
    }
    assert!(told(&store, "ann", "n").await.ends_with("n3"), "{}", told(&store, "ann", "n").await);
    assert_eq!([told(&store, "bob", "c0").await, told(&store, "bob", "c19").await], ["none", "r19"]);
    assert!(store.health().responses <= 6, "{:?}", store.health());
}

#[tokio::test]
async fn what_nobody_uses_gets_too_old_under_any_name() {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), |settings| {
        settings.clock = || NOW.load(Ordering::Relaxed);
        settings.max_age = Some(Duration::from_secs(60));
    });
    say(&store, "ann", "old", Some("old"), &["a", "b"]).await;
    say(&store, "ann", "used", Some("used"), &["c", "d"]).await;
    NOW.fetch_add(59_000, Ordering::Relaxed);
    assert_eq!(told(&store, "ann", "used").await, "c d");
    NOW.fetch_add(2_000, Ordering::Relaxed);
    store.renew(lease("nobody", 0)).await.unwrap();
    until(|| store.health().responses == 2).await;
    assert_eq!([told(&store, "ann", "old").await, told(&store, "ann", "used").await], ["none", "c d"]);
}

#[tokio::test]
async fn a_chain_that_is_longer_than_what_can_be_kept_keeps_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), |settings| settings.max_responses = 3);
    say(&store, "ann", "c", Some("long"), &["1", "2", "3", "4", "5", "6"]).await;
    assert_eq!((told(&store, "ann", "c").await, store.health().responses), ("- 4 5 6".into(), 3));
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
