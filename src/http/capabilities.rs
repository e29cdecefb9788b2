//! `GET /v1/capabilities`: what this server does, for clients that look before they ask. `docs/responses.md` tells of it.

use super::auth::Principal;
use super::responses;
use super::state::Gateway;
use crate::core::format::FormatSupport;
use crate::core::run::Limits;
use crate::dialect::activity::ToolActivity;
use crate::runs::{Profile, turns};
use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A test compares this with the routes there are.
const ENDPOINTS: &[&str] = &[
    "GET /v1/capabilities",
    "POST /v1/chat/completions",
    "POST /v1/responses",
    "GET /v1/responses",
    "POST /v1/responses/compact",
    "POST /v1/responses/input_tokens",
    "GET /v1/responses/{id}",
    "DELETE /v1/responses/{id}",
    "POST /v1/responses/{id}/cancel",
    "GET /v1/responses/{id}/input_items",
    "GET /v1/conversations",
    "POST /v1/conversations",
    "GET /v1/conversations/{id}",
    "POST /v1/conversations/{id}",
    "DELETE /v1/conversations/{id}",
    "GET /v1/conversations/{id}/items",
    "POST /v1/conversations/{id}/items",
    "GET /v1/conversations/{id}/items/{item}",
    "DELETE /v1/conversations/{id}/items/{item}",
    "GET /v1/runs",
    "POST /v1/runs",
    "GET /v1/runs/{id}",
    "GET /v1/runs/{id}/events",
    "POST /v1/runs/{id}/stop",
    "GET /v1/models",
    "GET /v1/models/{id}",
    "GET /v1/health",
];

/// What a client may want to know of, and whether it is there. A name stays once it is here, whatever it says.
const FEATURES: &[(&str, bool)] = &[
    ("chat_completions", true),
    ("responses", true),
    ("conversations", true),
    ("conversation_names", true),
    ("websocket", true),
    ("websocket_compression", false),
    ("store", true),
    ("runs", true),
    ("background", true),
    ("cancel", true),
    ("stream_resume", true),
    ("on_disconnect", true),
    ("idempotency_key", true),
    ("input_tokens", true),
    ("compaction", true),
    ("truncation_auto", true),
    ("structured_output", true),
    ("function_tools", true),
    ("hosted_tools", false),
    ("remote_mcp", false),
    ("item_reference", true),
    ("reasoning_summary", true),
    ("reasoning_encrypted_content", true),
    ("logprobs", true),
];

#[derive(Debug, Serialize)]
pub struct Capabilities {
    object: &'static str,
    version: &'static str,
    features: BTreeMap<&'static str, bool>,
    endpoints: &'static [&'static str],
    limits: ServerLimits,
    models: Vec<Model>,
    /// The model that answers for an unknown one; otherwise that is a 404.
    unknown_model: Option<String>,
}

/// What holds for all models.
#[derive(Debug, Serialize)]
struct ServerLimits {
    /// Of a request, or of a message on a WebSocket.
    body_bytes: usize,
    /// In flight, of all keys together.
    runs: usize,
    /// In flight, of the key that asks.
    runs_of_key: Option<usize>,
    /// That wait for their turn in one conversation.
    conversation_waiting: usize,
    /// Messages that wait for their turn on one connection.
    websocket_waiting: usize,
    websocket_ms: u64,
}

#[derive(Debug, Serialize)]
struct Model {
    id: String,
    /// Names of those that the server runs.
    tools: Vec<String>,
    tool_activity: ToolActivity,
    /// Tokens, as configured or else as the upstream has told.
    context_window: Option<u64>,
    structured_output: &'static str,
    limits: ModelLimits,
}

/// How far one run may go.
#[derive(Debug, Serialize)]
struct ModelLimits {
    steps: u32,
    wall_time_ms: u64,
    tool_time_ms: u64,
    output_tokens: Option<u64>,
}

pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
) -> Json<Capabilities> {
    let limits = ServerLimits {
        body_bytes: gateway.settings.body_limit,
        runs: gateway.runs.max_runs(),
        runs_of_key: principal.max_runs,
        conversation_waiting: turns::MAX_WAITING,
        websocket_waiting: responses::MAX_WAITING,
        websocket_ms: millis(gateway.settings.websocket_time),
    };
    let mut models = Vec::with_capacity(gateway.profiles.len());
    for profile in gateway.profiles.values() {
        models.push(model(profile, &principal).await);
    }
    let survives = gateway.store.outlives_the_process();
    Json(Capabilities {
        object: "capabilities",
        version: env!("CARGO_PKG_VERSION"),
        features: FEATURES.iter().copied().chain([("store_survives_restart", survives)]).collect(),
        endpoints: ENDPOINTS,
        limits,
        models,
        unknown_model: gateway.stand_in.clone(),
    })
}

async fn model(profile: &Profile, principal: &Principal) -> Model {
    let agent = &profile.agent;
    // A run would be refused with the reason; who only looks is shown the rest.
    let equipped = profile.equip(&profile.who(&principal.name, None)).await;
    let Limits { steps, wall_time, tool_time, output_tokens, .. } = agent.limits;
    Model {
        id: profile.id.clone(),
        tools: equipped.iter().flat_map(|(agent, _)| agent.tools.iter()).map(|tool| tool.name.clone()).collect(),
        tool_activity: profile.tool_activity,
        context_window: agent.context_window.or_else(|| profile.upstream.window()),
        structured_output: match agent.format_support {
            FormatSupport::Prompted => "prompted",
            FormatSupport::Passed => "passed",
            FormatSupport::Strict => "strict",
            FormatSupport::Enforced => "enforced",
        },
        limits: ModelLimits { steps, wall_time_ms: millis(wall_time), tool_time_ms: millis(tool_time), output_tokens },
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
