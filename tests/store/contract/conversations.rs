//! Conversations, and what becomes of the chains behind them.

use super::{clauses, ids};
use crate::Subject;
use crate::make::{events, id, lease, new_run, response, run, turn};
use nuncio::core::ports::conversations::{Conversation, ConversationKey};
use nuncio::core::ports::journals::{Batch, Ending, Fence, Promise};
use nuncio::core::ports::store::{AddedItems, StoredResponse};
use serde_json::{Map, json};

clauses! {
    a_name_stands_for_one_conversation_of_its_principal,
    conversations_are_listed_page_by_page_either_way,
    metadata_and_what_was_taken_out_are_kept,
    a_conversation_is_what_was_appended_to_it,
    a_run_ends_in_its_conversation_whatever_that_is_by_then,
    a_deleted_conversation_leaves_its_responses,
    a_deleted_response_is_a_gap_in_its_conversation,
}

fn conversation(id: &str, name: Option<&str>) -> Conversation {
    Conversation { id: id.into(), name: name.map(str::to_owned), created_at: 7, ..Conversation::default() }
}

async fn begin(store: &impl Subject, id: &str) {
    store.begin_conversation("ann", conversation(id, None)).await.unwrap();
}

async fn find(store: &impl Subject, id: &str) -> Option<Conversation> {
    let found = store.conversation("ann", &ConversationKey::Id(id.to_owned())).await.unwrap();
    found.as_deref().cloned()
}

/// Stores what says of itself that it goes on from elsewhere.
async fn keep(store: &impl Subject, id: &str, conversation: &str) {
    let conversation = Some(conversation.to_owned());
    let response = StoredResponse { conversation, ..response(id, Some("elsewhere")) };
    store.keep_response("ann", response, Some(Fence::FIRST)).await.unwrap();
}

async fn add(store: &impl Subject, id: &str, conversation: &str) -> bool {
    let conversation = conversation.to_owned();
    let added = AddedItems { id: id.into(), previous: Some("elsewhere".into()), conversation, items: turn(id) };
    store.add_items("ann", added, Fence::FIRST).await.unwrap()
}

/// The ids of a conversation.
async fn told(store: &impl Subject, conversation: &str) -> String {
    match find(store, conversation).await.map(|found| found.head) {
        None => "not there".to_owned(),
        Some(None) => String::new(),
        Some(Some(head)) => ids(store.chain("ann", &head).await.unwrap()),
    }
}

async fn a_name_stands_for_one_conversation_of_its_principal(store: &impl Subject) {
    let named = conversation("conv_1", Some("work"));
    let named = Conversation { metadata: Map::from_iter([("a".into(), json!("b"))]), ..named };
    assert_eq!(*store.begin_conversation("ann", named.clone()).await.unwrap(), named);
    let again = store.begin_conversation("ann", conversation("conv_2", Some("work"))).await.unwrap();
    assert_eq!((&*again, find(store, "conv_2").await), (&named, None));
    let of_bob = conversation("conv_3", Some("work"));
    assert_eq!(*store.begin_conversation("bob", of_bob.clone()).await.unwrap(), of_bob);
    let by_name = async |who, name: &str| {
        let found = store.conversation(who, &ConversationKey::Name(name.to_owned())).await.unwrap();
        found.map(|found| found.id.clone())
    };
    let found = [by_name("ann", "work").await, by_name("bob", "work").await, by_name("ann", "conv_1").await];
    assert_eq!(found, [Some("conv_1".into()), Some("conv_3".into()), None]);
    assert_eq!((find(store, "conv_3").await, find(store, "work").await), (None, None), "another's, and no id");
    // A name that is free again.
    assert!(store.delete_conversation("ann", "conv_1").await.unwrap());
    assert_eq!(by_name("ann", "work").await, None);
    store.begin_conversation("ann", conversation("conv_4", Some("work"))).await.unwrap();
    assert_eq!(by_name("ann", "work").await, Some("conv_4".into()));
}

async fn conversations_are_listed_page_by_page_either_way(store: &impl Subject) {
    let long = "conv_0192f3a4b5c6d7e80192f3a4b5c6d7e8";
    for id in ["conv_b", "conv_a", long, "conv_c"] {
        begin(store, id).await;
    }
    store.begin_conversation("bob", conversation("conv_bb", None)).await.unwrap();
    let list = async |after, limit, newest_first| {
        let list = store.conversations("ann", after, limit, newest_first).await.unwrap();
        list.iter().map(|conversation| conversation.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 9, false).await, [long, "conv_a", "conv_b", "conv_c"]);
    assert_eq!(list(None, 2, true).await, ["conv_c", "conv_b"]);
    assert_eq!(list(Some("conv_b"), 9, true).await, ["conv_a", long]);
    assert_eq!(list(Some("conv_aa"), 1, false).await, ["conv_b"], "a place need not be one's own");
    assert_eq!(list(Some("conv_c"), usize::MAX, false).await, [""; 0]);
    assert_eq!(list(None, 0, false).await, [""; 0]);
}

async fn metadata_and_what_was_taken_out_are_kept(store: &impl Subject) {
    store.begin_conversation("ann", conversation("conv_1", Some("n"))).await.unwrap();
    keep(store, "a", "conv_1").await;
    let metadata = Map::from_iter([("topic".into(), json!("wood"))]);
    let removed = [["one", "two"], ["two", "three"]];
    for items in removed {
        let items = items.map(str::to_owned).to_vec();
        assert!(store.remove_items("ann", "conv_1", items, Fence::FIRST).await.unwrap().is_some());
    }
    let changed = store.set_metadata("ann", "conv_1", metadata.clone()).await.unwrap().unwrap();
    let removed = removed.into_iter().flatten().map(str::to_owned).collect();
    let expected = Conversation { metadata, removed, head: Some("a".into()), ..conversation("conv_1", Some("n")) };
    assert_eq!((&*changed, find(store, "conv_1").await), (&expected, Some(expected.clone())));
    assert_eq!(store.set_metadata("bob", "conv_1", Map::new()).await.unwrap(), None);
    assert_eq!(store.remove_items("ann", "conv_2", Vec::new(), Fence::FIRST).await.unwrap(), None);
}

async fn a_conversation_is_what_was_appended_to_it(store: &impl Subject) {
    begin(store, "c").await;
    assert_eq!(told(store, "c").await, "");
    assert!(add(store, "i", "c").await && !add(store, "j", "other").await);
    keep(store, "a", "c").await;
    keep(store, "b", "c").await;
    store.keep_response("ann", response("fork", Some("a")), None).await.unwrap();
    let fork = store.chain("ann", "fork").await.unwrap();
    assert_eq!((told(store, "c").await, ids(fork)), ("i a b".into(), "i a fork".into()));
    let chain = store.chain("ann", "b").await.unwrap().unwrap();
    let links: Vec<_> = chain.iter().map(|link| (link.id(), link.previous(), link.conversation())).collect();
    assert_eq!(links, [("i", None, Some("c")), ("a", Some("i"), Some("c")), ("b", Some("a"), Some("c"))]);
    assert_eq!(chain[0].items().cloned().collect::<Vec<_>>(), *turn("i"));
    assert_eq!(store.response("ann", "i").await.unwrap(), None, "nobody has answered");
    assert!(!store.delete_response("ann", "i").await.unwrap());
    // One whose conversation is not there is stored alone.
    keep(store, "late", "other").await;
    let late = store.response("ann", "late").await.unwrap().unwrap();
    assert_eq!((late.previous.as_deref(), late.conversation.as_deref()), (Some("elsewhere"), None));
}

async fn a_run_ends_in_its_conversation_whatever_that_is_by_then(store: &impl Subject) {
    begin(store, "c").await;
    keep(store, "a", "c").await;
    for number in [1, 2, 3] {
        store.begin(new_run(number, "ann", None), lease("p", 9)).await.unwrap();
    }
    let end = async |number, previous: Option<&str>, conversation: Option<&str>| {
        let previous = previous.map(str::to_owned);
        let conversation = conversation.map(|id| (id.to_owned(), Fence::FIRST));
        let end = Some(Ending { at: 5, previous, conversation, journal: None });
        let batch = Batch { at: 0, told: events(&["done"]), promise: Promise::Outcome, end };
        store.append(run(number), Fence(1), batch).await.unwrap();
        let response = store.response("ann", &id(number)).await.unwrap().unwrap();
        (response.previous.clone(), response.conversation.clone(), response.ended_at)
    };
    keep(store, "b", "c").await;
    assert_eq!(end(1, Some("a"), Some("c")).await, (Some("b".into()), Some("c".into()), Some(5)));
    // One that is no part of it all the same knows what it went on from.
    assert_eq!(end(2, Some("a"), None).await, (Some("a".into()), None, Some(5)));
    assert_eq!(told(store, "c").await, format!("a b {}", id(1)));
    assert_eq!(ids(store.chain("ann", &id(2)).await.unwrap()), format!("a {}", id(2)));
    assert!(store.delete_conversation("ann", "c").await.unwrap());
    assert_eq!(end(3, Some("b"), Some("c")).await, (Some("b".into()), None, Some(5)));
    assert_eq!(ids(store.chain("ann", &id(3)).await.unwrap()), format!("a b {}", id(3)));
}

async fn a_deleted_conversation_leaves_its_responses(store: &impl Subject) {
    begin(store, "c").await;
    for id in ["i", "j"] {
        assert!(add(store, id, "c").await);
    }
    keep(store, "a", "c").await;
    assert!(add(store, "k", "c").await);
    assert!(!store.delete_conversation("bob", "c").await.unwrap());
    assert!(store.delete_conversation("ann", "c").await.unwrap());
    assert!(!store.delete_conversation("ann", "c").await.unwrap());
    assert_eq!(told(store, "c").await, "not there");
    // Items stay for the responses that go on from them, and go with the last of those.
    let chain = async |id| ids(store.chain("ann", id).await.unwrap());
    assert_eq!((chain("a").await, chain("k").await), ("i j a".into(), "none".into()));
    assert!(store.delete_response("ann", "a").await.unwrap());
    assert_eq!((chain("a").await, chain("j").await), ("none".into(), "none".into()));
}

async fn a_deleted_response_is_a_gap_in_its_conversation(store: &impl Subject) {
    begin(store, "c").await;
    for id in ["a", "b", "c", "d"] {
        keep(store, id, "c").await;
    }
    let delete = async |id| (store.delete_response("ann", id).await.unwrap(), told(store, "c").await);
    assert_eq!(delete("b").await, (true, "a - c d".into()));
    assert_eq!(delete("b").await, (false, "a - c d".into()));
    assert_eq!(delete("c").await, (true, "a - d".into()), "two gaps are one");
    assert_eq!(delete("d").await, (true, "a -".into()), "the end of a conversation");
    let gap = store.chain("ann", "d").await.unwrap().unwrap().pop().unwrap();
    assert_eq!((gap.id(), gap.previous(), gap.conversation(), gap.items().count()), ("d", Some("a"), Some("c"), 0));
    keep(store, "e", "c").await;
    assert_eq!((told(store, "c").await, store.response("ann", "c").await.unwrap()), ("a - e".into(), None));
    for id in ["f", "g", "h"] {
        keep(store, id, "c").await;
    }
    delete("g").await;
    assert_eq!(delete("f").await, (true, "a - e - h".into()), "whichever is deleted first");
    assert_eq!(delete("e").await, (true, "a - h".into()), "between two gaps");
    assert!(store.delete_response("ann", "h").await.unwrap());
    keep(store, "e", "c").await;
    assert!(store.delete_conversation("ann", "c").await.unwrap() && store.delete_response("ann", "e").await.unwrap());
    assert_eq!(ids(store.chain("ann", "d").await.unwrap()), "none", "a gap that nothing stands on is none");
    assert_eq!(ids(store.chain("ann", "a").await.unwrap()), "a");
}
