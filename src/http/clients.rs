//! What is known of single clients, and what is done about it.

use axum::http::{HeaderMap, header};
use serde_json::Value;

/// Forgets the `tools: []` of a client that sends it when it has none and means nothing by it. Measured: the OpenAI
/// Agents SDK does, as `Agents/Python 0.24.0`; see `docs/decisions/0009-an-empty-tools-list.md`.
pub fn forget_empty_tools(headers: &HeaderMap, body: &mut Value) {
    let always_sends_tools =
        headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Agents/"));
    let Some(body) = body.as_object_mut().filter(|_| always_sends_tools) else { return };
    if body.get("tools").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        body.shift_remove("tools");
    }
}
