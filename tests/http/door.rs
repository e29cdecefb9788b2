//! Safety at the door: who and what gets in, what is said to the rest, and what the log keeps to itself.

mod browsers;
mod connections;
mod keys;
mod limits;
mod logs;
mod start;

use serde_json::{Value, json};

/// An error as OpenAI writes it.
fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// A chat request that says this.
fn chat(content: &str) -> Value {
    json!({"model": "nuncio", "messages": [{"role": "user", "content": content}]})
}
