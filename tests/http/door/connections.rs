//! Connections: what HTTP itself allows, and clients that take their time.

use super::chat;
use crate::raw::{PATIENCE, exchange, local, request};
use crate::support::{Daemon, REHEARSAL, client};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json\nHost: localhost";

#[tokio::test]
async fn a_head_request_is_a_get_without_its_body() {
    let daemon = Daemon::rehearsing();
    for path in ["/health", "/v1/health", "/health/detailed", "/v1/models", "/v1/models/nuncio", "/v1/none"] {
        let (head, get) = (client().head(daemon.url(path)), client().get(daemon.url(path)));
        let (head, get) = (head.send().await.unwrap(), get.send().await.unwrap());
        assert_eq!(head.status(), get.status(), "{path}");
        assert_eq!(head.headers().get("content-type"), get.headers().get("content-type"), "{path}");
        assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
    }
    let head = client().head(daemon.url("/v1/chat/completions")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["allow"].to_str().unwrap()), (405, "POST"));
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order() {
    let daemon = Daemon::rehearsing();
    let bytes = [
        request(HEAD, chat("wait: 300ms\nsay: first").to_string()),
        request("GET /nowhere HTTP/1.1\nHost: localhost", ""),
        request(HEAD, "{"),
        request(&HEAD.replace("application/json", "text/plain"), "hello"),
        request("GET /health?trailing=things HTTP/1.1\nHost: localhost", ""),
        request(HEAD, chat("say: second").to_string()),
        local("GET /v1/models HTTP/1.1", ""),
    ];
    let answers = exchange(daemon.address(), &bytes.concat()).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 404, 400, 415, 200, 200, 200]);
    let said = |at: usize| answers[at].json()["choices"][0]["message"]["content"].clone();
    assert_eq!((said(0), said(5)), (json!("first"), json!("second")));
}

#[tokio::test]
async fn a_request_may_end_in_white_space_and_bring_parameters() {
    let daemon = Daemon::rehearsing();
    let bodies = [
        ("application/json; charset=utf-8", format!("\r\n {}\n\t ", chat("say: fine"))),
        ("Application/JSON", chat("say: fine").to_string()),
        ("application/vnd.api+json", chat("say: fine").to_string()),
    ];
    for (kind, body) in bodies {
        let url = daemon.url("/v1/chat/completions?api-version=1");
        let response = client().post(url).header("content-type", kind).body(body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{kind}");
    }
}

/// As curl does for bodies of more than a megabyte.
#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let daemon = Daemon::rehearsing();
    let body = chat("say: received").to_string();
    let head = format!("{HEAD}\nConnection: close\nExpect: 100-continue\nContent-Length: {}", body.len());
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    connection.write_all(&request(&head, "")).await.unwrap();
    let mut told = [0; 25];
    timeout(PATIENCE, connection.read_exact(&mut told)).await.expect("no answer").unwrap();
    assert_eq!(std::str::from_utf8(&told), Ok("HTTP/1.1 100 Continue\r\n\r\n"));
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, connection.read_to_string(&mut answer)).await.expect("no answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("received"), "{answer}");
}

#[tokio::test]
async fn slow_clients_hold_nobody_up() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{max_runs: 1}}\n"));
    let head = format!("{}\r\nContent-Length: 1000\r\n\r\n{{", HEAD.replace('\n', "\r\n"));
    // Nothing at all, half a head, and a body that never gets on.
    let mut slow = Vec::new();
    for bytes in ["", "POST /v1/chat/comp", &head].repeat(100) {
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        connection.write_all(bytes.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    let ask = client().post(daemon.url("/v1/chat/completions")).json(&chat("say: here")).send();
    let response = timeout(Duration::from_secs(10), ask).await.expect("no answer").unwrap();
    assert_eq!(response.status(), 200, "a body that is still on its way takes no run's place");
    drop(slow);
}
