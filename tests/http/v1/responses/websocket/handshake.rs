//! How a connection becomes a WebSocket, and whose does not.

use super::*;
use crate::raw::{Answer, ask, request};
use nuncio::config::auth::KeyHash;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const HANDSHAKE: &str = "Connection: Upgrade, close\nUpgrade: websocket\nSec-WebSocket-Version: 13\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// The answer to a GET with these headers that is no WebSocket.
async fn refused(daemon: &Daemon, headers: &str) -> Answer {
    ask(daemon.address(), &request(&format!("GET /v1/responses HTTP/1.1\n{headers}"), "")).await
}

fn code(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["error"]["code"].clone())
}

#[tokio::test]
async fn a_get_that_is_no_handshake_is_told_so() {
    let daemon = Daemon::rehearsing();
    let plain = refused(&daemon, "Host: 127.0.0.1\nConnection: close").await;
    let message = "A GET of this path must be a WebSocket handshake: `Connection: Upgrade`, `Upgrade: websocket`, \
                   `Sec-WebSocket-Version: 13`. Without a WebSocket, send the request by POST.";
    let error = json!({"type": "invalid_request_error", "code": "upgrade_required", "message": message, "param": null});
    assert_eq!((plain.status, plain.json()), (426, json!({"error": error})));
    let headers = ["upgrade", "sec-websocket-version", "x-content-type-options"].map(|name| plain.header(name));
    assert_eq!(headers, [Some("websocket"), Some("13"), Some("nosniff")]);
    assert!(plain.header("x-request-id").is_some());
    for (part, instead, expected) in [
        ("Version: 13", "Version: 8", (426, json!("upgrade_required"))),
        ("Upgrade: websocket", "Upgrade: h2c", (426, json!("upgrade_required"))),
        ("Connection: Upgrade, close", "Connection: close", (426, json!("upgrade_required"))),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", (400, Value::Null)),
        ("Sec-WebSocket-Key", "X-Key", (400, Value::Null)),
        ("Upgrade: websocket", "Upgrade: websocket\nX-Nuncio-On-Disconnect: never", (400, Value::Null)),
    ] {
        let answer = refused(&daemon, &format!("Host: 127.0.0.1\n{}", HANDSHAKE.replace(part, instead))).await;
        assert_eq!(code(&answer), expected, "{instead}");
    }
}

#[tokio::test]
async fn without_a_key_no_page_gets_in_but_a_listed_one() {
    let listed = "https://chat.example.org";
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{cors_origins: ['{listed}']}}\n"));
    for (headers, expected) in [
        ("Host: 127.0.0.1\nOrigin: https://evil.example", (403, "origin_not_allowed")),
        ("Host: 127.0.0.1\nOrigin: null", (403, "origin_not_allowed")),
        ("Host: 127.0.0.1\nSec-Fetch-Site: cross-site", (403, "origin_not_allowed")),
        ("Host: evil.example", (421, "host_not_allowed")),
    ] {
        let answer = refused(&daemon, &format!("{headers}\n{HANDSHAKE}")).await;
        assert_eq!(code(&answer), (expected.0, json!(expected.1)), "{headers}");
    }
    let mut socket = Socket::open_with(&daemon, &[("origin", listed)]).await;
    assert_eq!(socket.respond(&create("say: Hello")).await["status"], "completed");
}

#[tokio::test]
async fn where_there_are_keys_one_opens_it_and_is_whose_it_is() {
    let key = |name: &str| format!("{{name: {name}, hash: '{}'}}", KeyHash::of(name));
    let daemon = Daemon::with(&format!("{REHEARSAL}auth: {{keys: [{}, {}]}}\n", key("ann"), key("bob")));
    for (headers, expected) in [("X-None: 1", "missing_api_key"), ("Authorization: Bearer eve", "invalid_api_key")] {
        let answer = refused(&daemon, &format!("Host: 127.0.0.1\n{headers}\n{HANDSHAKE}")).await;
        assert_eq!(code(&answer), (401, json!(expected)));
    }
    let mut ann = Socket::open_with(&daemon, &[("authorization", "Bearer ann")]).await;
    let mut bob = Socket::open_with(&daemon, &[("authorization", "Bearer bob")]).await;
    let first = ann.respond(&create("say: Hello")).await;
    let next = with(create("say: More"), "previous_response_id", first["id"].clone());
    assert_eq!(bob.refusal(&next).await["error"]["code"], "previous_response_not_found");
    assert_eq!(ann.respond(&next).await["status"], "completed");
}

/// As Codex opens it: it offers to compress, names its session, and sends words that mean nothing to us.
#[tokio::test]
async fn what_is_offered_beside_is_left_alone() {
    let daemon = Daemon::rehearsing();
    let id = "req_of-the-client";
    let headers = [
        ("openai-beta", "responses_websockets=2026-02-06"),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ("session-id", "s-1"),
        ("x-request-id", id),
    ];
    for _ in 0..2 {
        let mut socket = Socket::open_with(&daemon, &headers).await;
        let warm = with(create("hi"), "generate", false);
        assert_eq!(socket.respond(&with(warm, "store", false)).await["status"], "completed");
        let body = json!({"type": "response.create", "model": "nuncio", "store": false, "stream": true,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "run: echo . >> n; wc -l < n"}]}],
            "tools": [{"type": "web_search"}], "include": ["reasoning.encrypted_content"], "client_metadata": {"turn_id": "t"}});
        socket.respond(&body).await;
        socket.leave().await;
    }
    // The headers of the handshake hold for every turn: both connections had the same session.
    let mut socket = Socket::open_with(&daemon, &headers).await;
    let seen = socket.respond(&create("run: wc -l < n")).await;
    assert!(seen["output"][0]["output"].as_str().unwrap().starts_with("2\n"), "{seen}");
    // And its id for whatever is logged until the end.
    let log = daemon.log();
    let closed: Vec<&str> = log.lines().filter(|line| line.contains("a WebSocket was closed")).collect();
    assert!(closed.len() == 2 && closed.iter().all(|line| line.contains(id)), "{log}");
}

#[tokio::test]
async fn what_is_sent_before_the_answer_is_not_lost() {
    let daemon = Daemon::rehearsing();
    let message = create("say: Hello").to_string();
    let mut bytes = request(&format!("GET /v1/responses HTTP/1.1\nHost: 127.0.0.1\n{HANDSHAKE}"), "");
    // A text frame under a mask of zeros.
    bytes.extend([0x81, 0x80 | u8::try_from(message.len()).unwrap(), 0, 0, 0, 0]);
    bytes.extend(message.bytes());
    let mut socket = TcpStream::connect(daemon.address()).await.unwrap();
    socket.write_all(&bytes).await.unwrap();
    let mut received = Vec::new();
    let text = loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if text.contains("response.completed") {
            break text;
        }
        let read = timeout(Duration::from_secs(20), socket.read_buf(&mut received)).await;
        assert!(read.unwrap().unwrap() > 0, "{text}");
    };
    assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
}
