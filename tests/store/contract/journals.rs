//! The journal of a run, from its begin to its end and after.

use super::clauses;
use crate::Subject;
use crate::make::{batch, ending, events, id, journal, lease, new_run, response, run, told_to};
use nuncio::core::event::{Outcome, RunEvent};
use nuncio::core::journal::Told;
use nuncio::core::ports::journals::{Batch, Begun, Fence, IdempotencyKey, KeyedRun, Promise, RunSummary, Tail};
use nuncio::core::ports::store::{Link, StoreError};
use std::sync::Arc;

clauses! {
    a_journal_is_read_from_any_event_while_it_grows,
    a_batch_goes_where_it_says_or_nowhere,
    an_end_makes_the_response_one_that_can_be_asked_for,
    what_a_run_goes_on_from_may_be_deleted_meanwhile,
    a_key_stands_for_one_run_until_it_is_forgotten,
    runs_are_listed_newest_first_page_by_page,
    what_is_deleted_is_no_run_any_more,
}

async fn begin(store: &impl Subject, number: u128, principal: &str) -> Fence {
    let begun = store.begin(new_run(number, principal, None), lease("p1", 1000)).await.unwrap();
    let Begun::Begun(fence) = begun else { panic!("{begun:?}") };
    fence
}

async fn end(store: &impl Subject, number: u128, fence: Fence, told: &[Told]) {
    let batch = Batch { end: ending(60 + number as u64, None), ..batch(0, told, Promise::Outcome) };
    store.append(run(number), fence, batch).await.unwrap();
}

async fn a_journal_is_read_from_any_event_while_it_grows(store: &impl Subject) {
    let told = events(&["one ", "two ", "three ", "four"]);
    let fence = begin(store, 1, "ann").await;
    let tail = async |after| store.tail("ann", run(1), after).await.unwrap();
    assert_eq!(tail(0).await, Some(Tail::default()));
    let mut cuts = vec![0];
    for (from, to) in [(0, 1), (1, 4), (4, 4), (4, 5), (5, 7)] {
        store.append(run(1), fence, batch(from as u64, &told[from..to], Promise::Process)).await.unwrap();
        cuts.push(to);
        for after in 0..=to {
            let expected = Tail { journal: journal(&told[after..to]), ended: false };
            assert_eq!(tail(after as u64).await, Some(expected), "from {after} of {to}");
        }
    }
    assert_eq!(tail(99).await, Some(Tail::default()), "beyond its end");
    assert_eq!(store.tail("bob", run(1), 0).await.unwrap(), None, "another's");
    assert_eq!(store.tail("ann", run(2), 0).await.unwrap(), None, "no such run");
    let begun_twice = store.begin(new_run(1, "ann", None), lease("p1", 1000)).await;
    assert!(matches!(begun_twice, Err(StoreError::Failed(_))), "{begun_twice:?}");
}

async fn a_batch_goes_where_it_says_or_nowhere(store: &impl Subject) {
    let told = events(&["one ", "two"]);
    let fence = begin(store, 1, "ann").await;
    let append = async |number, fence, from, to| {
        store.append(run(number), fence, batch(from as u64, &told[from..to], Promise::Start)).await
    };
    assert_eq!(append(1, fence, 0, 3).await, Ok(()));
    assert_eq!(append(1, fence, 0, 3).await, Err(StoreError::Misplaced(3)));
    assert_eq!(append(1, fence, 4, 5).await, Err(StoreError::Misplaced(3)));
    assert_eq!(append(2, fence, 0, 3).await, Err(StoreError::Fenced), "no such run");
    let claimed = store.claim(lease("p2", 5000), 1000, 9).await.unwrap();
    let later = claimed[0].fence;
    assert!(later > fence);
    assert_eq!(append(1, fence, 3, 4).await, Err(StoreError::Fenced));
    assert_eq!(append(1, fence, 0, 1).await, Err(StoreError::Fenced), "who is too late is not told where");
    assert_eq!(append(1, later, 3, 4).await, Ok(()));
    let expected = Tail { journal: journal(&told[..4]), ended: false };
    assert_eq!(store.tail("ann", run(1), 0).await.unwrap(), Some(expected));
}

async fn an_end_makes_the_response_one_that_can_be_asked_for(store: &impl Subject) {
    let told = events(&["one ", "two ", "three"]);
    store.keep_response("ann", response(&id(1), None), None).await.unwrap();
    let new = new_run(2, "ann", Some(&id(1)));
    let begun = new.response.clone();
    assert_eq!(store.begin(new, lease("p1", 1000)).await.unwrap(), Begun::Begun(Fence(1)));
    store.append(run(2), Fence(1), batch(0, &told[..4], Promise::Process)).await.unwrap();
    assert_eq!(store.response("ann", &id(2)).await.unwrap(), None);
    assert_eq!(store.chain("ann", &id(2)).await.unwrap(), None);
    assert!(!store.delete_response("ann", &id(2)).await.unwrap(), "a run in progress is ended first");

    let last = Batch { end: ending(77, Some(&id(1))), ..batch(4, &told[4..], Promise::Outcome) };
    assert_eq!(store.append(run(2), Fence(1), Batch { at: 3, ..last.clone() }).await, Err(StoreError::Misplaced(4)));
    assert_eq!(store.append(run(2), Fence(0), last.clone()).await, Err(StoreError::Fenced));
    assert_eq!(store.append(run(2), Fence(1), last.clone()).await, Ok(()));
    let expected = told_to(begun, &told, Some(77));
    assert_eq!(expected.output.len(), 1);
    assert_eq!(store.response("ann", &id(2)).await.unwrap(), Some(Arc::new(expected.clone())));
    assert_eq!(store.response("bob", &id(2)).await.unwrap(), None);
    let chain = [response(&id(1), None), expected].map(|response| Link::Response(Arc::new(response))).into();
    assert_eq!(store.chain("ann", &id(2)).await.unwrap(), Some(chain));
    for after in [0, 5, told.len(), 99] {
        let rest = told.get(after..).unwrap_or_default();
        let expected = Tail { journal: journal(rest), ended: true };
        assert_eq!(store.tail("ann", run(2), after as u64).await.unwrap(), Some(expected));
    }
    assert_eq!(store.tail("bob", run(2), 0).await.unwrap(), None);
    let late = batch(told.len() as u64, &told[..1], Promise::Process);
    assert_eq!(store.append(run(2), Fence(1), late).await, Err(StoreError::Fenced), "nothing follows the end");
    assert_eq!(store.claim(lease("p2", 9000), 5000, 9).await.unwrap(), [], "what is over is nobody's");
}

async fn what_a_run_goes_on_from_may_be_deleted_meanwhile(store: &impl Subject) {
    store.keep_response("ann", response(&id(1), None), None).await.unwrap();
    let Begun::Begun(fence) = store.begin(new_run(2, "ann", Some(&id(1))), lease("p1", 1000)).await.unwrap() else {
        panic!("the run has not begun")
    };
    assert!(store.delete_response("ann", &id(1)).await.unwrap());
    let last = Batch { end: ending(60, Some(&id(1))), ..batch(0, &events(&["alone"]), Promise::Outcome) };
    store.append(run(2), fence, last).await.unwrap();
    let alone = store.response("ann", &id(2)).await.unwrap().unwrap();
    assert_eq!(alone.previous, Some(id(1)));
    // Whether a store keeps the place of what only a run in progress goes on from is its own affair.
    let chain = store.chain("ann", &id(2)).await.unwrap();
    assert!(chain.is_none_or(|chain| matches!(chain[..], [Link::Gone { .. }, Link::Response(_)])));
}

async fn a_key_stands_for_one_run_until_it_is_forgotten(store: &impl Subject) {
    let begin = async |number, principal: &str, key: &str, body, now, until| {
        let key = IdempotencyKey { key: key.to_owned(), body: [body; 32], now, until };
        let new = nuncio::core::ports::journals::NewRun { key: Some(key), ..new_run(number, principal, None) };
        store.begin(new, lease("p1", 1000)).await.unwrap()
    };
    let begun = Begun::Begun(Fence(1));
    let keyed = async |principal: &str, now| store.keyed(principal, "k", now).await.unwrap().map(|keyed| keyed.run);
    assert_eq!(keyed("ann", 0).await, None);
    let taken = Begun::Taken(KeyedRun { run: run(1), id: id(1), body: [1; 32] });
    assert_eq!(begin(1, "ann", "k", 1, 0, 100).await, begun);
    assert_eq!(begin(2, "ann", "k", 1, 10, 110).await, taken);
    assert_eq!(begin(2, "ann", "k", 2, 99, 199).await, taken, "whoever asks compares the bodies");
    assert_eq!(store.tail("ann", run(2), 0).await.unwrap(), None, "nothing has begun");
    assert_eq!(begin(3, "bob", "k", 1, 10, 110).await, begun);
    assert_eq!(begin(4, "ann", "other", 1, 10, 110).await, begun);
    end(store, 1, Fence(1), &events(&["done"])).await;
    assert_eq!(begin(5, "ann", "k", 1, 99, 199).await, taken, "also when the run is over");
    assert!(store.delete_response("ann", &id(1)).await.unwrap());
    assert_eq!(begin(5, "ann", "k", 1, 99, 199).await, taken, "and when nothing is left of it");
    assert_eq!(
        (keyed("ann", 99).await, keyed("ann", 100).await, keyed("bob", 0).await),
        (Some(run(1)), None, Some(run(3)))
    );
    assert_eq!(begin(6, "ann", "k", 1, 100, 200).await, begun, "its time is over");
    let taken = Begun::Taken(KeyedRun { run: run(6), id: id(6), body: [1; 32] });
    assert_eq!(begin(7, "ann", "k", 1, 101, 200).await, taken);
}

async fn runs_are_listed_newest_first_page_by_page(store: &impl Subject) {
    for (number, principal) in [(2, "ann"), (1, "ann"), (3, "bob"), (4, "ann"), (5, "ann")] {
        begin(store, number, principal).await;
    }
    end(store, 2, Fence(1), &events(&["done"])).await;
    let failed = Outcome::Incomplete { reason: nuncio::core::event::Cut::Steps };
    end(store, 4, Fence(1), &[Told { sequence: 2, event: RunEvent::Finished { outcome: failed.clone() } }]).await;
    let summary = |number: u128, outcome: Option<Outcome>| RunSummary {
        run: run(number),
        id: id(number),
        head: new_run(number, "", None).response.head,
        ended_at: outcome.as_ref().map(|_| 60 + number as u64),
        outcome,
    };
    let all = [summary(5, None), summary(4, Some(failed)), summary(2, Some(Outcome::Completed)), summary(1, None)];
    assert_eq!(store.runs("ann", None, 9).await.unwrap(), all);
    assert_eq!(store.runs("ann", None, 2).await.unwrap(), all[..2]);
    assert_eq!(store.runs("ann", Some(run(4)), 2).await.unwrap(), all[2..]);
    assert_eq!(store.runs("ann", Some(run(3)), 1).await.unwrap(), all[2..3], "a place need not be one's own run");
    assert_eq!(store.runs("bob", None, 9).await.unwrap(), [summary(3, None)]);
    assert_eq!(store.runs("eve", None, 9).await.unwrap(), []);
}

async fn what_is_deleted_is_no_run_any_more(store: &impl Subject) {
    for number in [1, 2] {
        let fence = begin(store, number, "ann").await;
        end(store, number, fence, &events(&["done"])).await;
    }
    assert!(store.delete_response("ann", &id(1)).await.unwrap());
    assert_eq!(store.tail("ann", run(1), 0).await.unwrap(), None);
    let left: Vec<_> = store.runs("ann", None, 9).await.unwrap().into_iter().map(|summary| summary.run).collect();
    assert_eq!(left, [run(2)]);
}
