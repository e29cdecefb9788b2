//! What is known of single clients, and what is done about it.

use axum::http::{HeaderMap, header};

/// Whether this client sends `tools: []` when it has none, and means nothing by it. Measured: the OpenAI Agents SDK
/// does, as `Agents/Python 0.24.0`; see `docs/decisions/0009-an-empty-tools-list.md`.
pub fn always_sends_tools(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Agents/"))
}
