//! Kills at many moments, each the same for the same seed.

use crate::harness::{Chance, House, PATIENCE, Reader};
use crate::invariants::{check, check_database};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Frames of the script's stream, about.
const FRAMES: usize = 110;

/// One run, killed at one or two moments of it.
async fn one(house: &mut House, seed: u64) {
    let mut chance = Chance::of(seed);
    let name = format!("run{seed}");
    let id = house.begin(&house.script(&name), json!({})).await;
    let mut reader = Reader::default();
    for _ in 0..=chance.below(2) {
        // Some before the first byte, some behind the last.
        let enough = chance.below(FRAMES);
        reader.read(house, &id, enough).await;
        chance.a_while(6).await;
        house.crash();
    }
    reader.read(house, &id, usize::MAX).await;
    let response = check(house, &id, &reader).await;
    assert_eq!(response["status"], "completed", "{response}");
    let counts = house.counts(&name);
    assert!(counts.iter().all(|count| *count <= 1), "seed {seed}: tools ran {counts:?} times");
    told_of_unknown_outcomes(&response, &counts);
}

/// A call that may have run is told to the model as such.
fn told_of_unknown_outcomes(response: &Value, counts: &[usize]) {
    let calls = response["output"].as_array().unwrap().iter().filter(|item| item["name"] == "terminal");
    let ended = calls.filter(|call| call["output"].is_string()).count();
    assert!(ended <= counts.iter().sum(), "{ended} calls have an output and {counts:?} ran: {response}");
}

async fn seeds(seeds: std::ops::Range<u64>) {
    let mut house = House::new("");
    for seed in seeds {
        timeout(PATIENCE * 2, one(&mut house, seed)).await.unwrap_or_else(|_| panic!("seed {seed} takes too long"));
    }
    let folder = house.kill();
    check_database(&folder.path().join("data"));
}

#[tokio::test]
async fn seeds_0_to_49() {
    seeds(0..50).await;
}

#[tokio::test]
async fn seeds_50_to_99() {
    seeds(50..100).await;
}

#[tokio::test]
async fn seeds_100_to_149() {
    seeds(100..150).await;
}

#[tokio::test]
async fn seeds_150_to_199() {
    seeds(150..200).await;
}
