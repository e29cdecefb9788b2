//! What must hold of a response whatever happened to the daemon.

use crate::harness::{House, Reader};
use serde_json::Value;
use std::collections::BTreeMap;

fn event(frame: &str) -> Value {
    serde_json::from_str(frame.split_once("\ndata: ").unwrap().1).unwrap()
}

/// Checks a response that has ended, as one reader has followed it. Returns the response.
pub async fn check(house: &House, id: &str, reader: &Reader) -> Value {
    assert!(reader.ended, "it did not end: {:?}", reader.frames.last());
    let events: Vec<Value> = reader.frames.iter().map(|frame| event(frame)).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>(), "a number was skipped or repeated");
    let last = events.last().unwrap();
    let stored = house.get(id).await;
    assert_eq!(last["response"], stored, "the terminal event and the object differ");
    assert_eq!(
        folded(&events),
        stored["output"].as_array().cloned().unwrap(),
        "the stream does not add up to the object"
    );
    let mut again = Reader::default();
    again.read(house, id, usize::MAX).await;
    assert_eq!(again.frames, reader.frames, "a replay differs from what was shown");
    stored
}

/// The items that a stream has shown as done.
fn folded(events: &[Value]) -> Vec<Value> {
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let items: BTreeMap<u64, Value> =
        done.map(|event| (event["output_index"].as_u64().unwrap(), event["item"].clone())).collect();
    items.into_values().collect()
}

/// Checks the database of a daemon that does not run.
pub fn check_database(data: &std::path::Path) {
    let database = rusqlite::Connection::open(data.join("nuncio.db")).unwrap();
    let told: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(told, "ok");
}
