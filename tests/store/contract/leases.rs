//! Whose a run is.

use super::clauses;
use crate::Subject;
use crate::make::{batch, events, id, lease, new_run, run, told_to};
use nuncio::core::id::RunId;
use nuncio::core::journal::Told;
use nuncio::core::ports::journals::{Claimed, Fence, Promise};
use nuncio::core::ports::store::StoreError;

clauses! {
    what_is_left_is_claimed_whole_and_once,
    the_oldest_are_claimed_first_and_no_more_than_asked_for,
    claims_in_a_row_are_counted_until_an_outcome,
    a_renewed_lease_keeps_all_runs_of_its_owner,
    a_run_that_is_given_back_can_be_claimed_at_once,
}

async fn begin(store: &impl Subject, numbers: &[u128], owner: &str) {
    for number in numbers {
        store.begin(new_run(*number, "ann", None), lease(owner, 1000)).await.unwrap();
    }
}

async fn claim(store: &impl Subject, owner: &str, now: u64, until: u64) -> Vec<(RunId, Fence, u32)> {
    let claimed = store.claim(lease(owner, until), now, 9).await.unwrap();
    claimed.into_iter().map(|claimed| (claimed.run, claimed.fence, claimed.claims)).collect()
}

async fn tell(store: &impl Subject, fence: Fence, at: u64, told: &[Told], promise: Promise) {
    store.append(run(1), fence, batch(at, told, promise)).await.unwrap();
}

async fn what_is_left_is_claimed_whole_and_once(store: &impl Subject) {
    begin(store, &[1], "p1").await;
    let told = events(&["one ", "two"]);
    tell(store, Fence(1), 0, &told[..3], Promise::Process).await;
    tell(store, Fence(1), 3, &told[3..5], Promise::Process).await;
    assert_eq!(claim(store, "p2", 999, 9000).await, [], "the lease lasts");
    let new = new_run(1, "ann", None);
    let expected = Claimed {
        run: run(1),
        principal: "ann".into(),
        fence: Fence(2),
        response: told_to(new.response, &told[..5], None),
        request: new.request,
        claims: 1,
    };
    assert_eq!(expected.response.output.len(), 1);
    assert_eq!(store.claim(lease("p2", 9000), 1000, 9).await.unwrap(), [expected]);
    assert_eq!(claim(store, "p3", 1000, 9000).await, [], "it is p2's now");
}

async fn the_oldest_are_claimed_first_and_no_more_than_asked_for(store: &impl Subject) {
    begin(store, &[1, 2, 3], "p1").await;
    let claim = async || {
        let claimed = store.claim(lease("p2", 9000), 1000, 2).await.unwrap();
        claimed.into_iter().map(|claimed| claimed.run).collect::<Vec<_>>()
    };
    assert_eq!(claim().await, [run(1), run(2)]);
    assert_eq!(claim().await, [run(3)]);
    assert_eq!(claim().await, []);
}

async fn claims_in_a_row_are_counted_until_an_outcome(store: &impl Subject) {
    begin(store, &[1], "p1").await;
    let told = events(&["one ", "two ", "three ", "four"]);
    let mut claims = Vec::new();
    for (number, promise) in
        [Promise::Process, Promise::Start, Promise::Outcome, Promise::Process].into_iter().enumerate()
    {
        let [(_, fence, claimed)] = claim(store, &format!("q{number}"), 9000, 9000).await[..] else {
            panic!("not one run")
        };
        assert_eq!(claim(store, &format!("q{number}"), 9000, 9000).await, [], "it has it already");
        claims.push((fence, claimed));
        tell(store, fence, number as u64, &told[number..=number], promise).await;
    }
    assert_eq!(claims, [(Fence(2), 1), (Fence(3), 2), (Fence(4), 3), (Fence(5), 1)]);
}

async fn a_renewed_lease_keeps_all_runs_of_its_owner(store: &impl Subject) {
    begin(store, &[1, 2], "p1").await;
    begin(store, &[3], "p2").await;
    store.renew(lease("p1", 2000)).await.unwrap();
    store.renew(lease("nobody", 5000)).await.unwrap();
    assert_eq!(claim(store, "p3", 1999, 9000).await, [(run(3), Fence(2), 1)]);
    assert_eq!(claim(store, "p3", 2000, 9000).await, [(run(1), Fence(2), 1), (run(2), Fence(2), 1)]);
    store.renew(lease("p1", 50_000)).await.unwrap();
    assert_eq!(claim(store, "p4", 9000, 9999).await.len(), 3, "what one has lost one cannot prolong");
}

async fn a_run_that_is_given_back_can_be_claimed_at_once(store: &impl Subject) {
    begin(store, &[1, 2], "p1").await;
    assert_eq!(store.release(run(1), Fence(0)).await, Err(StoreError::Fenced));
    assert_eq!(store.release(run(9), Fence(1)).await, Err(StoreError::Fenced));
    assert_eq!(store.release(run(1), Fence(1)).await, Ok(()));
    store.renew(lease("p1", 9000)).await.unwrap();
    assert_eq!(claim(store, "p2", 10, 9000).await, [(run(1), Fence(2), 1)], "renewing does not take it back");
    assert_eq!(store.release(run(1), Fence(1)).await, Err(StoreError::Fenced), "it is another's");
    assert_eq!(store.release(run(1), Fence(2)).await, Ok(()));
    assert_eq!(claim(store, "p3", 10, 9000).await, [(run(1), Fence(3), 1)], "what is given back has not crashed");
    assert_eq!(store.response("ann", &id(1)).await.unwrap(), None);
}
