//! `/v1/responses` as a WebSocket.

mod ends;
mod errors;
mod handshake;
mod memory;

use super::*;
use crate::websocket::{Socket, create, with};
use tokio_tungstenite::tungstenite::Message;

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// What events say, without what is another in each run.
fn bare(mut events: Vec<Value>) -> Vec<Value> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !["id", "item_id", "created_at", "completed_at"].contains(&key.as_str()));
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    events.iter_mut().for_each(strip);
    events
}

#[tokio::test]
async fn a_turn_is_told_as_it_is_over_http() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    for (script, end) in [
        ("think: Hm.\nsay: Look\ncall: read_file {\"path\": \"none\"}\nthen\nsay: Done", "response.completed"),
        ("refuse: No.", "response.completed"),
        ("say: So\ncut", "response.failed"),
        ("fail: 429 7", "response.failed"),
    ] {
        let told = socket.turn(&create(script)).await;
        assert_eq!(types(&told).last(), Some(&end));
        let last = &told.last().unwrap()["response"];
        // Whoever has the id may ask for it, however it was made.
        let id = last["id"].as_str().unwrap();
        assert_eq!(get(&daemon, id).await, (200, last.clone()));
        let over_http = events(client().get(daemon.url(&format!("/v1/responses/{id}?stream=true")))).await;
        assert_eq!(told, over_http);
        if !script.starts_with("fail") {
            let asked = stream(&daemon, json!({"model": "nuncio", "input": script})).await;
            assert_eq!(bare(told), bare(asked));
        }
    }
}

#[tokio::test]
async fn a_client_tool_goes_both_ways() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let tools = json!([{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]);
    let ask = with(with(create("call: get_weather {}"), "tools", tools.clone()), "store", false);
    let asked = socket.respond(&ask).await;
    let result = json!([{"type": "function_call_output", "call_id": asked["output"][0]["call_id"], "output": "rain"}]);
    let follow = json!({"type": "response.create", "model": "nuncio", "input": result, "tools": tools, "store": false,
        "previous_response_id": asked["id"]});
    let followed = socket.respond(&follow).await;
    assert!(text(&followed).contains("rain"), "{followed}");
}

#[tokio::test]
async fn every_part_of_an_answer_says_where_it_belongs() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let right = with(create("say: Hello"), "stream_id", "left lane");
    let wrong = with(right.clone(), "input", 7);
    for message in [&right, &wrong] {
        let told = socket.turn(message).await;
        assert!(told.iter().all(|event| event["stream_id"] == "left lane"), "{told:?}");
    }
    assert!(socket.turn(&create("say: Hello")).await.iter().all(|event| event.get("stream_id").is_none()));
}

#[tokio::test]
async fn a_silence_is_filled_with_pings_and_theirs_are_answered() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{keepalive: 100ms}}\n"));
    let mut socket = Socket::open(&daemon).await;
    // Between turns and in one.
    assert_eq!(socket.next().await, Some(Message::Ping(Vec::new().into())));
    socket.say(&create("say: One\nstall")).await;
    while socket.hear().await["type"] != "response.output_text.delta" {}
    assert_eq!(socket.next().await, Some(Message::Ping(Vec::new().into())));
    socket.send(Message::Ping("theirs".into())).await;
    let pong = loop {
        match socket.next().await {
            Some(Message::Ping(_)) => {}
            other => break other,
        }
    };
    assert_eq!(pong, Some(Message::Pong("theirs".into())));
}
