//! Runs of the running daemon, from the first byte of their stream to whatever ends them.

mod client;
mod crowd;
mod delegate;
mod formats;
mod gone;
mod late;
mod notes;
mod opening;
mod pace;
mod parallel;
mod processes;
mod sessions;
mod shape;
mod shutdown;
mod slow;
#[path = "../support/websocket.rs"]
mod socket;
#[path = "../support/mod.rs"]
mod support;
mod told;
mod toolbox;
#[path = "../support/upstream.rs"]
mod upstream;
mod websocket;

use serde_json::{Value, json};
use support::Daemon;
use upstream::Server;

/// What a test sets besides its upstream; each is the inside of a YAML flow mapping.
#[derive(Default)]
struct Settings<'a> {
    server: &'a str,
    upstream: &'a str,
    profile: &'a str,
}

/// The daemon with the one profile `nuncio` on this upstream, whose retries do not slow a test down.
fn daemon(upstream: &Server, settings: &Settings<'_>) -> Daemon {
    let Settings { server, upstream: of_upstream, profile } = settings;
    Daemon::with(&format!(
        "server: {{{server}}}\n\
         upstreams: {{default: {{base_url: '{}', model: m, retry_base_delay: 1ms, {of_upstream}}}}}\n\
         profiles: {{nuncio: {{{profile}}}}}\n",
        upstream.base_url
    ))
}

/// A request for a stream with this question.
fn ask(question: &str) -> Value {
    json!({"model": "nuncio", "stream": true, "messages": [{"role": "user", "content": question}]})
}

/// `body` with some fields changed.
fn with(mut body: Value, fields: Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}
