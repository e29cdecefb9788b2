//! Servers of tools, behaved and not, and the running daemon.

mod content;
mod hostile;
mod life;
mod limits;
mod requests;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/upstream.rs"]
mod upstream;

use hostile::hostile;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Daemon, REHEARSAL, client};

/// Longer than anything here should take, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon with these servers, each a name and what follows the colon, and this profile.
fn daemon(servers: &[(&str, String)], profile: &str) -> Daemon {
    let servers: Vec<String> = servers.iter().map(|(name, server)| format!("{name}: {server}")).collect();
    let servers = servers.join(", ");
    Daemon::with(&format!("{REHEARSAL}mcp_servers: {{{servers}}}\nprofiles: {{nuncio: {{{profile}}}}}\n"))
}

/// One server called `it`.
fn with(mode: &str) -> Daemon {
    daemon(&[("it", hostile(mode, "") + "}")], "")
}

/// The response to a script.
async fn play(daemon: &Daemon, script: &str) -> Value {
    let body = json!({"model": "nuncio", "input": script});
    let sent = client().post(daemon.url("/v1/responses")).json(&body).timeout(PATIENCE).send().await.unwrap();
    sent.json().await.unwrap()
}

/// The first call in the response to a script that makes one.
async fn call(daemon: &Daemon, tool: &str, arguments: Value) -> Value {
    let mut response = play(daemon, &format!("call: {tool} {arguments}")).await;
    assert_eq!(response["status"], "completed", "{response}");
    response["output"][0].take()
}

/// What a call of it gave, or the failure that was told instead.
async fn said(daemon: &Daemon, tool: &str, arguments: Value) -> Result<String, String> {
    let call = call(daemon, tool, arguments).await;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match text(&call["output"]) {
        Some(output) => Ok(output),
        None => Err(text(&call["error"]["content"][0]["text"]).unwrap_or_else(|| panic!("{call}"))),
    }
}

/// The names of the tools that the model is offered.
async fn offered(daemon: &Daemon) -> Vec<String> {
    let response = play(daemon, "echo: tools").await;
    let text = response["output"][0]["content"][0]["text"].as_str().unwrap().to_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

/// What `/health/detailed` says of a server.
async fn health(daemon: &Daemon, server: &str) -> Value {
    let response = client().get(daemon.url("/health/detailed")).timeout(PATIENCE).send().await.unwrap();
    let all: Value = response.json().await.unwrap();
    let servers = all["mcp_servers"].as_array().unwrap();
    servers.iter().find(|line| line["name"] == server).cloned().unwrap()
}

/// Waits until what a server's health line says is so.
async fn until(daemon: &Daemon, server: &str, so: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let line = health(daemon, server).await;
            if so(&line) {
                break line;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(line) => line,
        Err(_) => panic!("in vain: {}\n{}", health(daemon, server).await, daemon.log()),
    }
}

/// The daemon's memory that is in use, in KiB.
fn memory(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
