//! Messages that cannot be served: each is told what is wrong with it, and the connection goes on.

use super::*;

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

fn bodies() -> Vec<Value> {
    let hello = create("say: Hello");
    vec![
        json!([]),
        json!("response.create"),
        json!({}),
        with(hello.clone(), "type", 7),
        with(hello.clone(), "type", "session.update"),
        json!({"type": "response.steer", "previous_response_id": "resp_1", "input": "faster"}),
        with(hello.clone(), "stream", false),
        with(hello.clone(), "stream_options", true),
        with(hello.clone(), "background", true),
        with(hello.clone(), "generate", "no"),
        with(hello.clone(), "stream_id", 7),
        with(hello.clone(), "stream_id", "x".repeat(129)),
        with(hello.clone(), "model", "nobody"),
        with(hello.clone(), "model", Value::Null),
        with(hello.clone(), "input", json!([])),
        with(
            with(hello.clone(), "generate", false),
            "input",
            json!([{"type": "function_call_output", "call_id": "c", "output": "x"}]),
        ),
        with(hello.clone(), "temperature", 7),
        with(hello, "previous_response_id", "resp_1"),
    ]
}

#[tokio::test]
async fn each_is_told_what_is_wrong_with_it() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let mut told = Vec::new();
    for body in bodies() {
        let Value::Object(error) = socket.refusal(&body).await else { unreachable!() };
        let of = |key: &str| error["error"][key].as_str().unwrap_or("-").to_owned();
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["status", "error"]);
        told.push(format!("{} {} {}: {}", error["status"], of("code"), of("param"), of("message")));
    }
    insta::assert_snapshot!(told.join("\n"));
    for text in ["", "{", "{\"type\":", "\"\\ud800\""] {
        socket.send(Message::text(text)).await;
        let error = socket.hear().await;
        assert_eq!((&error["status"], &error["error"]["code"]), (&json!(400), &json!("invalid_json")), "{text}");
    }
    // What is null is as good as left out, a receipt wants no answer, and JSON is JSON in whichever frame it comes.
    socket.say(&json!({"type": "response.processed", "response_id": "resp_1"})).await;
    let message = with(with(create("say: Hello"), "stream", Value::Null), "generate", Value::Null);
    socket.send(Message::binary(message.to_string().into_bytes())).await;
    assert_eq!(socket.answer().await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_limit_is_told_with_when_to_come_back() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{max_runs: 1}}\n"));
    let mut socket = Socket::open(&daemon).await;
    let mut other = Socket::open(&daemon).await;
    other.say(&create("say: Begun\nstall")).await;
    other.hear().await;
    let message = "The server runs 1 requests already, as many as it may. Try again later.";
    let error = json!({"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": message, "param": null,
        "headers": {"retry-after": "1"}});
    assert_eq!(socket.refusal(&create("say: Hello")).await, json!({"status": 429, "error": error}));
    // Which is no run.
    assert_eq!(socket.respond(&with(create("x"), "generate", false)).await["status"], "completed");
}

#[tokio::test]
async fn a_message_must_not_be_larger_than_a_body() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{body_limit: 64KiB}}\n"));
    let mut socket = Socket::open(&daemon).await;
    let fits = with(create("say: Hello"), "user", "x".repeat(65_000));
    assert_eq!(socket.respond(&fits).await["status"], "completed");
    let large = create(&"x".repeat(1 << 18));
    socket.say(&large).await;
    let error = socket.hear().await;
    assert_eq!((&error["status"], &error["error"]["code"]), (&json!(413), &json!("body_too_large")));
    assert_eq!(socket.closed().await, 1009);
    // In pieces it is no smaller.
    let mut socket = Socket::open(&daemon).await;
    for (number, piece) in large.to_string().into_bytes().chunks(10_000).enumerate() {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        socket.send(Message::Frame(Frame::message(piece.to_vec(), OpCode::Data(kind), false))).await;
    }
    assert_eq!(socket.hear().await["error"]["code"], "body_too_large");
    assert_eq!(socket.closed().await, 1009);
}

#[tokio::test]
async fn a_message_must_not_hold_more_than_a_body() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let many = with(create("say: Hello"), "extra", vec![0; 600_000]);
    let error = socket.refusal(&many).await;
    assert_eq!((&error["status"], &error["error"]["code"]), (&json!(413), &json!("body_too_large")));
    let deep = format!("{{\"type\":\"response.create\",\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    socket.send(Message::text(deep)).await;
    assert_eq!(socket.hear().await["error"]["code"], "invalid_json");
    assert_eq!(socket.respond(&create("say: Hello")).await["status"], "completed");
}
