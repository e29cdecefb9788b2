//! What is asked about a conversation and not in it: `POST /v1/responses/compact` and `/v1/responses/input_tokens`.

use super::auth::Principal;
use super::error::Rejection;
use super::responses::{chain, now};
use super::state::Gateway;
use super::{body, session};
use crate::core::run::input_tokens as estimate;
use crate::dialect::responses::compact::{CompactedWindow, Compacting};
use crate::dialect::responses::request;
use crate::runs::session::SessionKey;
use crate::runs::{RunRequest, Runs};
use axum::Json;
use axum::extract::{Extension, Request, State};
use serde_json::{Value, json};
use std::sync::Arc;

/// Sums a conversation up. Nothing is stored: the client has all there is to go on from.
pub async fn compact(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<CompactedWindow>, Rejection> {
    let mut session = session::key(request.headers())?;
    let asked = request::parse_conversation(body::json(request, gateway.settings.body_limit).await?)?;
    let profile = gateway.profile(&asked.model)?;
    let chain = chain(&gateway, &principal, asked.settings.previous_response_id.as_deref()).await?;
    let spec = asked.compaction(&chain)?;
    if let (SessionKey::ByHistory, Some(opening)) = (&session, asked.opening(&chain)) {
        session = SessionKey::ByOpening(opening);
    }
    let run = Runs::new_id();
    let (principal, max_runs) = (principal.name, principal.max_runs);
    let run_request =
        RunRequest { run, principal, max_runs, profile, spec, session, housekeeping: false, record: None };
    let mut subscription = gateway.runs.start(run_request).await?;
    // A client that leaves drops this handler, and the subscription with it.
    let mut compacting = Compacting::default();
    while let Some(event) = subscription.events.recv().await {
        compacting.on(&event);
    }
    Ok(Json(compacting.into_window(run.answer("resp_"), now())?))
}

/// Counts the tokens that a request would begin with, by estimate, and runs nothing.
pub async fn input_tokens(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<Value>, Rejection> {
    let mut asked = request::parse_conversation(body::json(request, gateway.settings.body_limit).await?)?;
    let profile = gateway.profile(&asked.model)?;
    let chain = chain(&gateway, &principal, asked.settings.previous_response_id.as_deref()).await?;
    let spec = asked.spec(&chain, &profile.agent.sampling)?;
    Ok(Json(json!({"object": "response.input_tokens", "input_tokens": estimate(&profile.agent, &spec)})))
}
