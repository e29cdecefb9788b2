//! Micro benches of the pure parts, so that a regression has a name: `cargo bench --bench micro`.

use bytes::Bytes;
use divan::{Bencher, black_box};
use nuncio::core::event::{Delta, RunEvent};
use nuncio::core::id::RunId;
use nuncio::core::item::{Item, Message, Role};
use nuncio::core::ports::upstream::UpstreamEvent;
use nuncio::core::run::{Agent, Input, Machine, RunSpec};
use nuncio::dialect::Projection;
use nuncio::dialect::activity::ToolActivity;
use nuncio::dialect::chat::chunks::ChunkStream;
use nuncio::dialect::chat::request;
use nuncio::dialect::chat::wire::AnswerHead;
use nuncio::dialect::responses;
use nuncio::dialect::responses::events::EventStream;
use nuncio::dialect::responses::fold::{EndTime, Head};
use nuncio::upstream::sse::SseReader;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

fn main() {
    divan::main();
}

/// One text delta through the machine.
#[divan::bench]
fn machine_step(bencher: Bencher) {
    let input = vec![Arc::new(Item::Message(Message::of(Role::User, "Hello")))];
    let spec = RunSpec { input, ..RunSpec::default() };
    let Ok(mut machine) = Machine::new(RunId::new(Uuid::nil()), Arc::new(Agent::default()), spec) else { return };
    machine.on(Input::Submitted);
    bencher.bench_local(|| machine.on(Input::Upstream(UpstreamEvent::Text(black_box("token ").to_owned()))));
}

/// One text delta into its frame.
#[divan::bench]
fn chat_projection(bencher: Bencher) {
    let head = AnswerHead { id: "chatcmpl-0".into(), created: 1_700_000_000, model: "nuncio".into() };
    let mut stream = ChunkStream::new(&head, false, ToolActivity::Standard);
    let event = RunEvent::Delta { index: 0, delta: Delta::Text("token ".into()) };
    bencher.bench_local(|| stream.on(black_box(&event)));
}

/// The same into that of a response.
#[divan::bench]
fn responses_projection(bencher: Bencher) {
    let Ok(asked) = responses::request::parse(json!({"model": "nuncio", "input": "Hello"})) else { return };
    let mut stream = EventStream::new(Head {
        id: "resp_0".into(),
        created_at: 1_700_000_000,
        model: "nuncio".into(),
        settings: Arc::new(asked.settings),
        activity: ToolActivity::Standard,
        view: asked.view,
        ended: EndTime::default(),
    });
    let item = Arc::new(Item::Message(Message::of(Role::Assistant, "")));
    stream.on(&RunEvent::Started);
    stream.on(&RunEvent::ItemStarted { index: 0, item });
    let event = RunEvent::Delta { index: 0, delta: Delta::Text("token ".into()) };
    bencher.bench_local(|| stream.on(black_box(&event)));
}

/// What an upstream sends of 20 tokens, cut into its payloads.
#[divan::bench]
fn sse_parse(bencher: Bencher) {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "token "}, "finish_reason": null}]});
    let stream = Bytes::from(format!("data: {chunk}\n\n").repeat(20));
    bencher.bench(|| {
        let (mut reader, mut input, mut bytes) = (SseReader::default(), black_box(stream.clone()), 0);
        while let Ok(Some(payload)) = reader.next(&mut input) {
            bytes += payload.len();
        }
        bytes
    });
}

/// A request of so many messages, parsed and read.
#[divan::bench(args = [1, 100])]
fn chat_request(bencher: Bencher, messages: usize) {
    let message = |at: usize| json!({"role": if at.is_multiple_of(2) { "user" } else { "assistant" }, "content": "x".repeat(200)});
    let messages: Vec<Value> = (0..messages).map(message).collect();
    let body = json!({"model": "nuncio", "stream": true, "temperature": 0.5, "messages": messages}).to_string();
    bencher.bench(|| {
        let body = serde_json::from_str(black_box(&body)).unwrap_or_default();
        request::parse(body).is_ok()
    });
}
