//! How much one may ask for.

use super::{chat, error};
use crate::raw::{ask, local, request};
use crate::support::{Daemon, REHEARSAL, client};
use nuncio::config::auth::KeyHash;
use serde_json::{Value, json};
use std::time::Duration;

/// Begins a run that goes on for as long as its answer is held.
async fn hold(daemon: &Daemon, key: &str) -> reqwest::Response {
    let mut body = chat("say: here\nstall");
    body["stream"] = true.into();
    let response = send(daemon, key, &body).await;
    assert_eq!(response.status(), 200);
    response
}

async fn send(daemon: &Daemon, key: &str, body: &Value) -> reqwest::Response {
    client().post(daemon.url("/v1/chat/completions")).bearer_auth(key).json(body).send().await.unwrap()
}

/// Status, `Retry-After` and body of a request that is over a limit.
async fn refused(daemon: &Daemon, key: &str) -> (u16, Option<String>, Value) {
    let response = send(daemon, key, &chat("Hello")).await;
    let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), wait, response.json().await.unwrap())
}

/// Whether a request with this key is served, within the time that a cancel may take.
async fn is_served_soon(daemon: &Daemon, key: &str) -> bool {
    for _ in 0..100 {
        if send(daemon, key, &chat("Hello")).await.status() == 200 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test]
async fn the_server_runs_no_more_than_it_may() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{max_runs: 2}}\n"));
    let (one, two) = (hold(&daemon, "").await, hold(&daemon, "").await);
    let message = "The server runs 2 requests already, as many as it may. Try again later.";
    let expected = (429, Some("1".to_owned()), error("rate_limit_error", "rate_limit_exceeded", message));
    assert_eq!(refused(&daemon, "").await, expected);
    let detailed: Value = client().get(daemon.url("/health/detailed")).send().await.unwrap().json().await.unwrap();
    assert_eq!(detailed["runs_in_flight"], 2);
    drop(one);
    assert!(is_served_soon(&daemon, "").await);
    drop(two);
}

#[tokio::test]
async fn a_key_runs_no_more_than_its_own_limit() {
    let key = |name: &str, rest: &str| format!("{{name: {name}, hash: '{}'{rest}}}", KeyHash::of(name));
    let keys = [key("alice", ", max_runs: 1"), key("bob", "")].join(", ");
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{max_runs: 3}}\nauth: {{keys: [{keys}]}}\n"));
    let alices = hold(&daemon, "alice").await;
    let message = "This key has 1 requests running already, as many as it may. Try again when one has ended.";
    let expected = (429, Some("1".to_owned()), error("rate_limit_error", "rate_limit_exceeded", message));
    assert_eq!(refused(&daemon, "alice").await, expected);
    let bobs = [hold(&daemon, "bob").await, hold(&daemon, "bob").await];
    assert_eq!(refused(&daemon, "bob").await.0, 429, "the server's own limit holds for all");
    drop(alices);
    assert!(is_served_soon(&daemon, "alice").await);
    drop(bobs);
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_read() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{body_limit: 1KiB}}\n"));
    let body = |size: usize| format!("{:size$}", chat("Hello").to_string());
    let head = "POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json";
    for (size, status) in [(1024, 200), (1025, 413)] {
        let whole = local(head, body(size));
        let chunks = format!("{size:x}\r\n{}\r\n0\r\n\r\n", body(size));
        let chunked = local(&format!("{head}\nTransfer-Encoding: chunked"), chunks);
        for request in [whole, chunked] {
            assert_eq!(ask(daemon.address(), &request).await.status, status, "{size}");
        }
    }
}

#[tokio::test]
async fn a_connection_serves_on_after_a_body_that_was_too_large() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{body_limit: 1KiB}}\n"));
    let large =
        request("POST /v1/chat/completions HTTP/1.1\nHost: localhost\nContent-Type: application/json", [b' '; 4000]);
    let answers = crate::raw::exchange(daemon.address(), &[large, local("GET /health HTTP/1.1", "")].concat()).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [413, 200]);
}

/// Names of tools are looked up for each call of the history, so neither may make the other dear.
#[tokio::test]
async fn a_body_full_of_tools_and_calls_holds_nobody_up() {
    let daemon = Daemon::rehearsing();
    let tools: Vec<Value> =
        (0..1024).map(|at| json!({"type": "function", "function": {"name": format!("tool_{at}")}})).collect();
    let call = |at: usize| json!({"id": format!("c{at}"), "function": {"name": "tool_1023", "arguments": "{}"}});
    let calls: Vec<Value> = (0..20_000).map(call).collect();
    let results = (0..20_000).map(|at| json!({"role": "tool", "tool_call_id": format!("c{at}"), "content": "1"}));
    let mut messages = vec![json!({"role": "assistant", "tool_calls": calls})];
    messages.extend(results);
    messages.push(json!({"role": "user", "content": "say: done"}));
    let body = json!({"model": "nuncio", "messages": messages, "tools": tools});
    let big = send(&daemon, "", &body);
    let small = async {
        let begun = std::time::Instant::now();
        for _ in 0..20 {
            assert_eq!(client().get(daemon.url("/health")).send().await.unwrap().status(), 200);
        }
        begun.elapsed()
    };
    let (big, small) = tokio::join!(big, small);
    assert_eq!(big.status(), 200);
    assert!(small < Duration::from_secs(10), "{small:?}");
}
