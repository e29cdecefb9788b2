//! Items, by what clients call them.

use super::clauses;
use crate::Subject;
use crate::make::{message, new_run, response, run};
use nuncio::core::event::{Outcome, RunEvent};
use nuncio::core::item::{Item, Origin, Role, Status, ToolCall, ToolOutput};
use nuncio::core::journal::Told;
use nuncio::core::ports::conversations::Conversation;
use nuncio::core::ports::journals::{Batch, Fence, Lease, Promise};
use nuncio::core::ports::store::{AddedItems, Found, ItemKey, StoredResponse};
use std::sync::Arc;

clauses! {
    an_item_is_found_wherever_it_is_and_the_newest_counts,
    a_call_of_a_server_is_found_with_its_output_or_not_at_all,
    what_is_deleted_is_found_no_more,
    the_items_of_a_run_are_found_once_it_is_over,
}

fn item(id: &str, text: &str) -> Arc<Item> {
    Arc::new(message(id, Role::User, text))
}

fn call(id: &str, call_id: &str, origin: Origin, status: Status) -> Arc<Item> {
    let (name, arguments, extra) = ("look".to_owned(), "{}".to_owned(), Default::default());
    Arc::new(Item::ToolCall(ToolCall {
        id: id.into(),
        call_id: call_id.into(),
        name,
        arguments,
        origin,
        status,
        extra,
    }))
}

fn output(id: &str, call_id: &str) -> Arc<Item> {
    let (content, extra) = (Vec::new(), Default::default());
    Arc::new(Item::ToolOutput(ToolOutput { id: id.into(), call_id: call_id.into(), content, failed: false, extra }))
}

async fn keep(store: &impl Subject, principal: &str, id: &str, input: &[Arc<Item>]) {
    store.keep_response(principal, StoredResponse { input: input.into(), ..response(id, None) }, None).await.unwrap();
}

async fn find(store: &impl Subject, principal: &str, ids: &[&str]) -> Vec<Found> {
    let keys: Vec<_> = ids.iter().map(|id| ItemKey::Id((*id).to_owned())).collect();
    store.items(principal, &keys).await.unwrap()
}

async fn an_item_is_found_wherever_it_is_and_the_newest_counts(store: &impl Subject) {
    store.begin_conversation("ann", Conversation { id: "conv_1".into(), ..Conversation::default() }).await.unwrap();
    let ours = "msg_in_0192f3a4b5c6d7e80192f3a4b5c6d7e80001";
    keep(store, "ann", "a", &[item(ours, "first"), item("theirs", "1"), item("", "no id")]).await;
    keep(store, "bob", "b", &[item(ours, "of bob")]).await;
    let items = [item(ours, "again"), item("added", "2"), item("added", "3")].into();
    let added = AddedItems { id: "i".into(), previous: None, conversation: "conv_1".into(), items };
    assert!(store.add_items("ann", added, Fence::FIRST).await.unwrap());
    let found = find(store, "ann", &["added", ours, "", "theirs", "unknown", "msg_0", "a"]).await;
    let said = response("a", None).output[0].clone();
    let one = |item: &Arc<Item>| Some(vec![Arc::clone(item)]);
    let expected =
        [one(&item("added", "2")), one(&item(ours, "again")), None, one(&item("theirs", "1")), None, one(&said), None];
    assert_eq!(found, expected);
    assert_eq!(find(store, "bob", &[ours, "theirs"]).await, [one(&item(ours, "of bob")), None]);
    assert_eq!(find(store, "eve", &[ours]).await, [None]);
    // What was found in the newest is found in the one before it, once that is gone.
    assert!(store.delete_conversation("ann", "conv_1").await.unwrap());
    assert_eq!(find(store, "ann", &[ours, "added"]).await, [one(&item(ours, "first")), None]);
}

async fn a_call_of_a_server_is_found_with_its_output_or_not_at_all(store: &impl Subject) {
    let (whole, answer) = (call("fc_1", "call_1", Origin::Server, Status::Completed), output("fco_1", "call_1"));
    let cut = call("fc_2", "call_2", Origin::Server, Status::Incomplete);
    let waits = call("fc_3", "call_3", Origin::Server, Status::Completed);
    let clients = call("fc_4", "call_4", Origin::Client, Status::Completed);
    let items =
        [whole.clone(), answer.clone(), cut, output("fco_2", "call_2"), waits, clients, output("fco_4", "call_4")];
    keep(store, "ann", "a", &items).await;
    let keys = ["call_1", "call_2", "call_3", "call_4", "fc_1"].map(|call| ItemKey::Call(call.to_owned()));
    let found = store.items("ann", &keys).await.unwrap();
    assert_eq!(found, [Some(vec![whole.clone(), answer]), Some(vec![]), Some(vec![]), None, None]);
    assert_eq!(find(store, "ann", &["fc_1", "call_1"]).await, [Some(vec![whole]), None]);
}

async fn what_is_deleted_is_found_no_more(store: &impl Subject) {
    keep(store, "ann", "a", &[item("one", "1")]).await;
    store.keep_response("ann", response("b", Some("a")), None).await.unwrap();
    assert!(store.delete_response("ann", "a").await.unwrap());
    assert_eq!(find(store, "ann", &["one"]).await, [None], "its place is there, and no more than that");
    // In place of one of the same id.
    keep(store, "ann", "c", &[item("two", "2")]).await;
    keep(store, "ann", "c", &[item("three", "3")]).await;
    assert_eq!(find(store, "ann", &["two", "three"]).await, [None, Some(vec![item("three", "3")])]);
}

async fn the_items_of_a_run_are_found_once_it_is_over(store: &impl Subject) {
    let mut new = new_run(1, "ann", None);
    new.response.input = [item("asked", "?")].into();
    store.begin(new, Lease { owner: "p".into(), until: 9 }).await.unwrap();
    // Stored after the run began, and before it ended.
    keep(store, "ann", "a", &[item("asked", "before")]).await;
    let told =
        [RunEvent::ItemDone { index: 0, item: item("said", "!") }, RunEvent::Finished { outcome: Outcome::Completed }];
    let told: Vec<_> = (2..).zip(told).map(|(sequence, event)| Told { sequence, event }).collect();
    let batch = |at: u64, told: &[Told]| Batch { at, told: told.to_vec(), promise: Promise::Outcome, end: None };
    store.append(run(1), Fence(1), batch(0, &told[..1])).await.unwrap();
    assert_eq!(find(store, "ann", &["asked", "said"]).await, [Some(vec![item("asked", "before")]), None]);
    store.append(run(1), Fence(1), batch(1, &told[1..])).await.unwrap();
    let expected = [Some(vec![item("asked", "?")]), Some(vec![item("said", "!")])];
    assert_eq!(find(store, "ann", &["asked", "said"]).await, expected);
}
