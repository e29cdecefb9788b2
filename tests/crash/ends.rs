//! What becomes of runs that are not simply gone on with: in the foreground, found dead again and again, left by a
//! daemon that stops as it should.

use crate::harness::{House, Reader, until};
use crate::invariants::check;
use crate::support::client;
use rustix::process::Signal;
use serde_json::{Value, json};

const KEY: &str = "Idempotency-Key";

#[tokio::test]
async fn in_the_foreground_what_was_made_is_kept_as_incomplete() {
    let mut house = House::new("");
    let body = json!({"model": "nuncio", "input": "say: I begin\nrun: sleep 60", "stream": true});
    let mut stream = client().post(house.daemon().url("/v1/responses")).json(&body).send().await.unwrap();
    let mut told = String::new();
    while !told.contains("response.mcp_call.in_progress") {
        told.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let id = told.split_once("\"id\":\"resp_").unwrap().1.split_once('"').unwrap().0;
    let id = format!("resp_{id}");
    house.crash();
    let response = house.get(&id).await;
    assert_eq!(response["status"], "incomplete", "{response}");
    let kinds: Vec<_> =
        response["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "mcp_call"], "{response}");
    // What was shown is how the replay begins.
    let mut reader = Reader::default();
    reader.read(&house, &id, usize::MAX).await;
    let (whole, _) = told.rsplit_once("\n\n").unwrap();
    assert!(reader.frames.join("\n\n").starts_with(whole));
    check(&house, &id, &reader).await;
    // It can be gone on from.
    let body = json!({"model": "nuncio", "input": "say: On we go", "previous_response_id": id});
    let next = client().post(house.daemon().url("/v1/responses")).json(&body).send().await.unwrap();
    assert_eq!(next.json::<Value>().await.unwrap()["status"], "completed");
}

#[tokio::test]
async fn three_crashes_without_any_outcome_are_the_end() {
    let mut house = House::new("");
    let id = house.begin("count: 1000 50ms", json!({})).await;
    let mut reader = Reader::default();
    for attempt in 0..3 {
        // Each time when something new was shown.
        while count(&reader, "response.output_item.added") <= attempt && !reader.ended {
            let enough = reader.frames.len() + 1;
            reader.read(&house, &id, enough).await;
        }
        house.crash();
    }
    reader.read(&house, &id, usize::MAX).await;
    let response = check(&house, &id, &reader).await;
    assert_eq!(response["status"], "failed", "{response}");
    // Each attempt is there as it was shown; those that were gone on from are not the answer.
    let output = response["output"].as_array().unwrap();
    let stand = |item: &Value| (item["phase"].clone(), item["status"].clone());
    let left = (json!("commentary"), json!("completed"));
    let expected = [left.clone(), left, (Value::Null, json!("incomplete"))];
    assert_eq!(output.iter().map(stand).collect::<Vec<_>>(), expected, "{response}");
    let message = response["error"]["message"].as_str().unwrap();
    assert!(message.contains("3 times in a row"), "{message}");
}

#[tokio::test]
async fn a_run_that_comes_further_each_time_is_not_given_up() {
    let mut house = House::new("");
    let steps = (0..5).map(|step| format!("run: echo {step}\nthen\ncount: 8 20ms\n")).collect::<String>();
    let id = house.begin(&format!("{}say: Done", steps), json!({})).await;
    let mut reader = Reader::default();
    for step in 0..5 {
        // Each time behind one more tool's outcome.
        while outcomes(&reader) <= step && !reader.ended {
            let enough = reader.frames.len() + 1;
            reader.read(&house, &id, enough).await;
        }
        house.crash();
    }
    reader.read(&house, &id, usize::MAX).await;
    assert_eq!(check(&house, &id, &reader).await["status"], "completed");
}

/// Calls that are over. A kill may come while one is about to run, and then what it has come to is not known.
fn outcomes(reader: &Reader) -> usize {
    count(reader, "response.mcp_call.completed") + count(reader, "response.mcp_call.failed")
}

fn count(reader: &Reader, kind: &str) -> usize {
    reader.frames.iter().filter(|frame| frame.starts_with(&format!("event: {kind}\n"))).count()
}

#[tokio::test]
async fn a_daemon_that_stops_leaves_what_is_in_the_background_to_the_next() {
    let mut house = House::new("server: {shutdown_grace: 20s}\n");
    let id = house.begin(&format!("count: 40 50ms\n{}", "say: Done"), json!({})).await;
    let mut reader = Reader::default();
    reader.read(&house, &id, 10).await;
    // One in the foreground is waited for meanwhile.
    let body = json!({"model": "nuncio", "input": "count: 10 50ms", "stream": true});
    let mut foreground = client().post(house.daemon().url("/v1/responses")).json(&body).send().await.unwrap();
    foreground.chunk().await.unwrap();
    let folder = house.stop(Signal::TERM);
    assert!(foreground.text().await.unwrap().contains("response.completed"));
    house.start(folder);
    reader.read(&house, &id, usize::MAX).await;
    assert_eq!(check(&house, &id, &reader).await["status"], "completed");
}

#[tokio::test]
async fn a_key_stands_for_its_run_across_a_crash() {
    let mut house = House::new("");
    let body = json!({"model": "nuncio", "input": house.script("keyed"), "background": true});
    let ask = async |house: &House| {
        let request = client().post(house.daemon().url("/v1/responses")).header(KEY, "once").json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let id = ask(&house).await;
    house.crash();
    assert_eq!(ask(&house).await, id);
    let mut reader = Reader::default();
    reader.read(&house, &id, usize::MAX).await;
    house.crash();
    assert_eq!(ask(&house).await, id);
    check(&house, &id, &reader).await;
    assert_eq!(house.counts("keyed"), [1, 1, 1]);
}

/// Nobody knows how far it has come, so it is not handed on again.
#[tokio::test]
async fn a_task_that_was_handed_on_is_told_to_have_an_unknown_outcome() {
    let mut house = House::new("profiles: {nuncio: {delegates: [nuncio], write: [shared]}}\n");
    let note = house.note("handed-on");
    let task = json!({"profile": "nuncio", "task": format!("run: echo x >> {}; sleep 600", note.display())});
    let id = house.begin(&format!("call: delegate {task}\nthen\nsay: Then I look myself"), json!({})).await;
    until(async || note.exists()).await;
    house.crash();
    let mut reader = Reader::default();
    reader.read(&house, &id, usize::MAX).await;
    let response = check(&house, &id, &reader).await;
    let [call, answer] = response["output"].as_array().unwrap().as_slice() else { panic!("{response}") };
    assert!(call.to_string().contains("its outcome is unknown"), "{call}");
    assert!(answer.to_string().contains("Then I look myself"), "{answer}");
    assert_eq!(std::fs::read_to_string(note).unwrap(), "x\n");
}

#[tokio::test]
async fn a_conversation_keeps_its_order() {
    let mut house = House::new("");
    let first = house.begin("count: 40 20ms\nsay: First", json!({"conversation": "order"})).await;
    let second = house.begin("echo: messages", json!({"conversation": "order"})).await;
    let mut reader = Reader::default();
    reader.read(&house, &first, 10).await;
    house.crash();
    let third = house.begin("say: Third", json!({"conversation": "order"})).await;
    for id in [&first, &second, &third] {
        until(async || house.get(id).await["status"] == "completed").await;
    }
    let text = house.get(&second).await["output"].to_string();
    assert!(text.contains("First") && !text.contains("Third"), "{text}");
}

#[tokio::test]
async fn a_store_that_takes_nothing_fails_the_run_and_is_told_so_later() {
    let mut house = House::new("");
    let id = house.begin("count: 200 20ms", json!({})).await;
    let mut reader = Reader::default();
    reader.read(&house, &id, 10).await;
    // Another writer keeps the daemon from writing, as a full disk does.
    let other = rusqlite::Connection::open(house.daemon().folder.path().join("data/nuncio.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    reader.read(&house, &id, usize::MAX).await;
    let response = house.get(&id).await;
    assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!("server_error")));
    other.execute_batch("ROLLBACK").unwrap();
    until(async || house.daemon().log().contains("the end of a run is stored now")).await;
    // What was told is what the next daemon has.
    house.crash();
    assert_eq!(check(&house, &id, &reader).await, response);
}
