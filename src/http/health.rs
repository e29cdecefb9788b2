//! Health: a plain word for load balancers, and the whole picture for operators.

use super::state::Gateway;
use crate::core::ports::store::Health;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub async fn plain(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let (status, word) = status(&gateway);
    (status, Json(json!({"status": word, "version": VERSION})))
}

pub async fn detailed(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let (status, word) = status(&gateway);
    let edges = (gateway.probe)().await;
    let body = json!({
        "status": word,
        "version": VERSION,
        "uptime_seconds": gateway.started.elapsed().as_secs(),
        "runs_in_flight": gateway.runs.in_flight(),
        "models": gateway.profiles.keys().collect::<Vec<_>>(),
        "store": store(&gateway.store.health()),
        "upstreams": edges.get("upstreams"),
        "sandbox": edges.get("sandbox"),
    });
    (status, Json(body))
}

/// A store in trouble is said and is no reason to send clients elsewhere or to start the daemon anew: that would end the
/// runs in flight and mend nothing, and what needs no store is still answered.
fn status(gateway: &Gateway) -> (StatusCode, &'static str) {
    if gateway.runs.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    (StatusCode::OK, word(&gateway.store.health()))
}

fn word(store: &Health) -> &'static str {
    if store.trouble.is_some() { "degraded" } else { "ok" }
}

fn store(health: &Health) -> Value {
    json!({
        "kind": health.kind,
        "status": word(health),
        "problem": health.trouble,
        "path": health.path,
        "bytes": health.bytes,
        "responses": health.responses,
    })
}
