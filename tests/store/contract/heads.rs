//! Whose the head of a conversation is.

use super::{clauses, ids};
use crate::Subject;
use crate::make::{events, lease, new_run, response, run, turn};
use nuncio::core::ports::conversations::{Conversation, ConversationKey, Taken};
use nuncio::core::ports::journals::{Batch, Ending, Fence, Promise};
use nuncio::core::ports::store::{AddedItems, StoreError, StoredResponse};

clauses! {
    a_head_is_one_owners_until_its_lease_is_over,
    a_renewed_lease_keeps_the_head_and_a_claim_ends_those_of_others,
    who_was_overtaken_adds_nothing_and_whose_turn_it_is_goes_on,
    a_run_that_was_overtaken_does_not_end_in_its_conversation,
}

async fn begin(store: &impl Subject, id: &str) {
    store.begin_conversation("ann", Conversation { id: id.into(), ..Conversation::default() }).await.unwrap();
}

async fn take(store: &impl Subject, owner: &str, now: u64, until: u64) -> Option<Taken> {
    store.take_head("ann", "c", lease(owner, until), now).await.unwrap()
}

fn taken(fence: u64) -> Option<Taken> {
    Some(Taken::Taken(Fence(fence)))
}

async fn give_back(store: &impl Subject, fence: u64) -> Result<(), StoreError> {
    store.give_head_back("ann", "c", Fence(fence)).await
}

async fn add(store: &impl Subject, id: &str, fence: u64) -> Result<bool, StoreError> {
    let added = AddedItems { id: id.into(), previous: None, conversation: "c".into(), items: turn(id) };
    store.add_items("ann", added, Fence(fence)).await
}

async fn told(store: &impl Subject) -> String {
    let found = store.conversation("ann", &ConversationKey::Id("c".into())).await.unwrap().unwrap();
    match &found.head {
        Some(head) => ids(store.chain("ann", head).await.unwrap()),
        None => String::new(),
    }
}

async fn a_head_is_one_owners_until_its_lease_is_over(store: &impl Subject) {
    assert_eq!(take(store, "p1", 0, 100).await, None, "there is no such conversation");
    begin(store, "c").await;
    assert_eq!(store.take_head("bob", "c", lease("p1", 100), 0).await, Ok(None), "it is another's");
    assert_eq!(take(store, "p1", 0, 100).await, taken(1));
    assert_eq!(take(store, "p2", 99, 200).await, Some(Taken::Held { until: 100 }));
    assert_eq!(take(store, "p1", 50, 120).await, taken(2), "its owner may take it anew");
    assert_eq!(take(store, "p2", 119, 200).await, Some(Taken::Held { until: 120 }));
    assert_eq!(take(store, "p2", 120, 200).await, taken(3));
    assert_eq!(give_back(store, 2).await, Err(StoreError::Fenced), "it is another's by now");
    assert_eq!(take(store, "p1", 120, 300).await, Some(Taken::Held { until: 200 }));
    assert_eq!(give_back(store, 3).await, Ok(()));
    assert_eq!(take(store, "p1", 120, 300).await, taken(4));
    assert!(store.delete_conversation("ann", "c").await.unwrap());
    assert_eq!((give_back(store, 4).await, take(store, "p2", 120, 300).await), (Err(StoreError::Fenced), None));
    begin(store, "c").await;
    assert_eq!(take(store, "p2", 0, 100).await, taken(1), "another one of the same id");
}

async fn a_renewed_lease_keeps_the_head_and_a_claim_ends_those_of_others(store: &impl Subject) {
    begin(store, "c").await;
    assert_eq!(take(store, "p1", 0, 100).await, taken(1));
    store.renew(lease("p1", 300)).await.unwrap();
    store.renew(lease("p2", 900)).await.unwrap();
    assert_eq!(take(store, "p2", 200, 400).await, Some(Taken::Held { until: 300 }));
    let claim = async |owner, now| assert_eq!(store.claim(lease(owner, 9000), now, 9).await.unwrap(), []);
    claim("p1", 9000).await;
    claim("p2", 299).await;
    assert_eq!(take(store, "p2", 200, 400).await, Some(Taken::Held { until: 300 }), "its own claim, and one before");
    claim("p2", 300).await;
    store.renew(lease("p1", 500)).await.unwrap();
    assert_eq!(take(store, "p2", 200, 400).await, taken(2), "renewing does not take it back");
    assert_eq!(give_back(store, 2).await, Ok(()));
    store.renew(lease("p2", 900)).await.unwrap();
    assert_eq!(take(store, "p1", 200, 400).await, taken(3));
}

async fn who_was_overtaken_adds_nothing_and_whose_turn_it_is_goes_on(store: &impl Subject) {
    begin(store, "c").await;
    let keep = async |id: &str, fence| {
        let response = StoredResponse { conversation: Some("c".into()), ..response(id, Some("elsewhere")) };
        store.keep_response("ann", response, fence).await
    };
    let remove = async |fence| {
        let removed = store.remove_items("ann", "c", vec!["x".into()], Fence(fence)).await;
        removed.map(|there| there.is_some())
    };
    assert_eq!((add(store, "i", 0).await, add(store, "never", 1).await), (Ok(true), Err(StoreError::Fenced)));
    for (now, owner) in [(0, "p1"), (10, "p2")] {
        take(store, owner, now, now + 10).await;
    }
    for fence in [0, 1, 3] {
        assert_eq!(add(store, "never", fence).await, Err(StoreError::Fenced), "{fence}");
        assert_eq!(keep("never", Some(Fence(fence))).await, Err(StoreError::Fenced), "{fence}");
        assert_eq!(remove(fence).await, Err(StoreError::Fenced), "{fence}");
    }
    assert_eq!((keep("a", Some(Fence(2))).await, add(store, "j", 2).await), (Ok(()), Ok(true)));
    assert_eq!(give_back(store, 2).await, Ok(()));
    assert_eq!((remove(2).await, told(store).await), (Ok(true), "i a j".into()), "nobody has come between");
    // Without a turn a response stands alone.
    assert_eq!(keep("alone", None).await, Ok(()));
    let alone = store.response("ann", "alone").await.unwrap().unwrap();
    assert_eq!((alone.previous.as_deref(), alone.conversation.as_deref()), (Some("elsewhere"), None));
    assert_eq!((told(store).await, store.response("ann", "never").await), ("i a j".into(), Ok(None)));
}

async fn a_run_that_was_overtaken_does_not_end_in_its_conversation(store: &impl Subject) {
    begin(store, "c").await;
    add(store, "i", 0).await.unwrap();
    store.begin(new_run(1, "ann", None), lease("p1", 9)).await.unwrap();
    assert_eq!((take(store, "p1", 0, 9).await, take(store, "p2", 9, 99).await), (taken(1), taken(2)));
    let end = async |conversation| {
        let end = Some(Ending { at: 5, previous: Some("i".into()), conversation, journal: None });
        let batch = Batch { at: 0, told: events(&["done"]), promise: Promise::Outcome, end };
        store.append(run(1), Fence(1), batch).await
    };
    let before = store.tail("ann", run(1), 0).await.unwrap();
    assert_eq!(end(Some(("c".to_owned(), Fence(1)))).await, Err(StoreError::Fenced));
    assert_eq!((store.tail("ann", run(1), 0).await.unwrap(), told(store).await), (before, "i".into()));
    assert_eq!(end(None).await, Ok(()), "alone it may");
    assert_eq!((add(store, "j", 2).await, told(store).await), (Ok(true), "i j".into()));
}
