//! Sessions, turns that wait, and responses.

use super::{clauses, ids};
use crate::Subject;
use crate::make::{beginning, id, response, told_to, turn};
use nuncio::core::event::RunEvent;
use nuncio::core::journal::Told;
use nuncio::core::ports::store::{Chain, Link};
use std::sync::Arc;

clauses! {
    a_session_is_found_by_its_fingerprint_and_its_principal,
    a_fingerprint_of_two_sessions_leads_to_neither,
    a_turn_is_found_by_its_first_call_and_its_principal,
    a_response_comes_back_as_it_was_kept,
    a_response_that_is_kept_again_is_the_new_one,
    a_chain_begins_with_its_first_response_and_may_branch,
    what_is_deleted_is_a_gap_as_long_as_something_stands_on_it,
    a_deleted_response_takes_its_waiting_turn_with_it,
    a_chain_is_as_long_as_it_is,
    clients_at_the_same_time_do_not_meet,
}

async fn a_session_is_found_by_its_fingerprint_and_its_principal(store: &impl Subject) {
    store.remember_session("ann", [7; 32], "s".into()).await.unwrap();
    store.remember_session("bob", [8; 32], "t".into()).await.unwrap();
    let mut found = Vec::new();
    for (principal, fingerprint) in [("ann", 7), ("ann", 8), ("bob", 7), ("bob", 8)] {
        found.push(store.session(principal, [fingerprint; 32]).await.unwrap());
    }
    assert_eq!(found, [Some("s".into()), None, None, Some("t".into())]);
}

async fn a_fingerprint_of_two_sessions_leads_to_neither(store: &impl Subject) {
    let mut found = Vec::new();
    for name in ["s", "s", "t", "s"] {
        store.remember_session("ann", [7; 32], name.into()).await.unwrap();
        found.push(store.session("ann", [7; 32]).await.unwrap());
    }
    assert_eq!(found, [Some("s".into()), Some("s".into()), None, None]);
}

async fn a_turn_is_found_by_its_first_call_and_its_principal(store: &impl Subject) {
    store.keep_turn("ann", &["c1".into(), "c2".into()], turn("first")).await.unwrap();
    store.keep_turn("ann", &["c1".into()], turn("again")).await.unwrap();
    store.keep_turn("bob", &["c3".into()], turn("of bob")).await.unwrap();
    store.keep_turn("ann", &[], turn("of no call")).await.unwrap();
    let mut found = Vec::new();
    for (principal, call) in [("ann", "c1"), ("bob", "c1"), ("ann", "c3"), ("bob", "c3")] {
        found.push(store.turn(principal, call).await.unwrap());
    }
    assert_eq!(found, [Some(turn("again")), None, None, Some(turn("of bob"))]);
}

async fn a_response_comes_back_as_it_was_kept(store: &impl Subject) {
    let kept = response("resp_of_no_uuid", None);
    store.keep_response("ann", kept.clone(), None).await.unwrap();
    let mut found = Vec::new();
    for (principal, id) in
        [("ann", "resp_of_no_uuid"), ("bob", "resp_of_no_uuid"), ("ann", "resp_unknown"), ("ann", "")]
    {
        found.push((store.response(principal, id).await.unwrap(), store.chain(principal, id).await.unwrap()));
    }
    let kept = Arc::new(kept);
    assert_eq!(
        found,
        [(Some(Arc::clone(&kept)), Some(vec![Link::Response(kept)])), (None, None), (None, None), (None, None)]
    );
    assert!(!store.delete_response("bob", "resp_of_no_uuid").await.unwrap());
    assert!(store.response("ann", "resp_of_no_uuid").await.unwrap().is_some());
}

async fn a_response_that_is_kept_again_is_the_new_one(store: &impl Subject) {
    store.keep_response("ann", response("root", None), None).await.unwrap();
    store.keep_response("ann", response("a", None), None).await.unwrap();
    let again = response("a", Some("root"));
    store.keep_response("ann", again.clone(), None).await.unwrap();
    assert_eq!(store.response("ann", "a").await.unwrap(), Some(Arc::new(again)));
    assert_eq!(ids(store.chain("ann", "a").await.unwrap()), "root a");
}

async fn a_chain_begins_with_its_first_response_and_may_branch(store: &impl Subject) {
    for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("fork", Some("a")), ("lost", Some("?"))] {
        store.keep_response("ann", response(id, previous), None).await.unwrap();
    }
    store.keep_response("bob", response("mine", Some("a")), None).await.unwrap();
    let expected = vec![response("a", None), response("b", Some("a")), response("c", Some("b"))];
    let expected: Chain = expected.into_iter().map(|response| Link::Response(Arc::new(response))).collect();
    assert_eq!(store.chain("ann", "c").await.unwrap(), Some(expected));
    assert_eq!(ids(store.chain("ann", "fork").await.unwrap()), "a fork");
    assert_eq!(store.response("ann", "lost").await.unwrap(), Some(Arc::new(response("lost", Some("?")))));
    assert_eq!(store.response("ann", "?").await.unwrap(), None);
    assert_eq!(store.chain("ann", "lost").await.unwrap(), None, "what it goes on from was never there");
    assert_eq!(store.chain("bob", "mine").await.unwrap(), None, "what it goes on from is another's");
}

async fn what_is_deleted_is_a_gap_as_long_as_something_stands_on_it(store: &impl Subject) {
    for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        store.keep_response("ann", response(id, previous), None).await.unwrap();
    }
    let delete = async |id| store.delete_response("ann", id).await.unwrap();
    assert_eq!((delete("b").await, delete("b").await, delete("never").await), (true, false, false));
    assert_eq!(store.response("ann", "b").await.unwrap(), None);
    assert_eq!(store.response("ann", "c").await.unwrap(), Some(Arc::new(response("c", Some("b")))));
    assert_eq!(ids(store.chain("ann", "c").await.unwrap()), "a - c");
    assert_eq!(ids(store.chain("ann", "a").await.unwrap()), "a");
    assert!(delete("c").await && delete("a").await);
    // What is gone for good can be stored anew.
    for (id, previous) in [("a", None), ("b", Some("a"))] {
        store.keep_response("ann", response(id, previous), None).await.unwrap();
    }
    assert_eq!(ids(store.chain("ann", "b").await.unwrap()), "a b");
}

async fn a_deleted_response_takes_its_waiting_turn_with_it(store: &impl Subject) {
    let calls = ["c1", "c2"].map(str::to_owned);
    for principal in ["ann", "bob"] {
        store.keep_turn(principal, &calls, turn("waits")).await.unwrap();
    }
    let event = RunEvent::Waiting { call_ids: calls.to_vec() };
    let waits = told_to(beginning("a", None), &[Told { sequence: 2, event }], Some(7));
    store.keep_response("ann", waits, None).await.unwrap();
    assert!(store.turn("ann", "c1").await.unwrap().is_some());
    assert!(store.delete_response("ann", "a").await.unwrap());
    assert_eq!(store.turn("ann", "c1").await.unwrap(), None);
    assert_eq!(store.turn("bob", "c1").await.unwrap(), Some(turn("waits")));
}

async fn clients_at_the_same_time_do_not_meet(store: &impl Subject) {
    store.keep_response("ann", response("root", None), None).await.unwrap();
    let talk = async |client: u128| {
        let mut last = "root".to_owned();
        for turn in 0..8 {
            let next = id(client * 100 + turn);
            store.keep_response("ann", response(&next, Some(&last)), None).await.unwrap();
            last = next;
        }
        ids(store.chain("ann", &last).await.unwrap())
    };
    let chains = futures_util::future::join_all((1..65).map(talk)).await;
    for (client, chain) in (1..65).zip(chains) {
        let own = (0..8).map(|turn| id(client * 100 + turn));
        assert_eq!(chain, ["root".to_owned()].into_iter().chain(own).collect::<Vec<_>>().join(" "));
    }
}

async fn a_chain_is_as_long_as_it_is(store: &impl Subject) {
    let all: Vec<String> = (0..500).map(id).collect();
    for (number, id) in all.iter().enumerate() {
        let previous = number.checked_sub(1).and_then(|before| all.get(before)).map(String::as_str);
        store.keep_response("ann", response(id, previous), None).await.unwrap();
    }
    assert_eq!(ids(store.chain("ann", &all[499]).await.unwrap()), all.join(" "));
}
