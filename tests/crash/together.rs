//! Many runs in flight when the daemon is killed, and readers that do not read.

use crate::harness::{Chance, House, PATIENCE, Reader};
use crate::invariants::{check, check_database};
use crate::support::client;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

/// Runs so many at once, kills the daemon a few times meanwhile, and checks each.
async fn at_once(count: usize, seed: u64, crashes: usize) {
    let mut house = House::new(&format!("server: {{max_runs: {}}}\n", count.max(8)));
    let mut chance = Chance::of(seed);
    let names: Vec<String> = (0..count).map(|number| format!("run{number}")).collect();
    let ids = join_all(names.iter().map(async |name| house.begin(&house.script(name), json!({})).await)).await;
    let mut readers: Vec<Reader> = ids.iter().map(|_| Reader::default()).collect();
    for _ in 0..crashes {
        let enough: Vec<usize> = readers.iter().map(|reader| reader.frames.len() + chance.below(60)).collect();
        let reads =
            readers.iter_mut().zip(&ids).zip(&enough).map(|((reader, id), enough)| reader.read(&house, id, *enough));
        join_all(reads).await;
        house.crash();
    }
    join_all(readers.iter_mut().zip(&ids).map(|(reader, id)| reader.read(&house, id, usize::MAX))).await;
    for ((id, reader), name) in ids.iter().zip(&readers).zip(&names) {
        let response = check(&house, id, reader).await;
        assert_eq!(response["status"], "completed", "{response}");
        let counts = house.counts(name);
        assert!(counts.iter().all(|count| *count <= 1), "{name}: tools ran {counts:?} times");
    }
    check_database(&house.kill().path().join("data"));
}

#[tokio::test]
async fn two_at_once() {
    for seed in 0..5 {
        timeout(PATIENCE * 2, at_once(2, seed, 2)).await.unwrap();
    }
}

#[tokio::test]
async fn fifty_at_once() {
    timeout(PATIENCE * 4, at_once(50, 7, 2)).await.unwrap();
}

#[tokio::test]
async fn readers_that_stall_hold_nobody_up() {
    let mut house = House::new("");
    let id = house.begin(&house.script("run"), json!({})).await;
    let stall = async |house: &House| {
        let url = house.daemon().url(&format!("/v1/responses/{id}?stream=true"));
        let asked = (0..8).map(|_| client().get(url.clone()).send());
        join_all(asked).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    let before = stall(&house).await;
    let mut reader = Reader::default();
    reader.read(&house, &id, 20).await;
    house.crash();
    let after = stall(&house).await;
    reader.read(&house, &id, usize::MAX).await;
    assert_eq!(check(&house, &id, &reader).await["status"], "completed");
    // Those that were there in time get the same, whenever they read it.
    for stalled in after {
        let text = stalled.text().await.unwrap();
        assert_eq!(text.matches("\nevent: ").count() + usize::from(text.starts_with("event: ")), reader.frames.len());
    }
    drop(before);
}
