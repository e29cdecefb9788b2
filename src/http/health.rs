//! Health: a plain word for load balancers, and the whole picture for operators.

use super::state::Gateway;
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
        "store": edges.get("store"),
        "upstreams": edges.get("upstreams"),
    });
    (status, Json(body))
}

fn status(gateway: &Gateway) -> (StatusCode, &'static str) {
    if gateway.runs.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ok") }
}
