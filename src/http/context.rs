//! What is asked about a conversation and not in it: `POST /v1/responses/compact` and `/v1/responses/input_tokens`.

use super::auth::Principal;
use super::clock::now;
use super::error::Rejection;
use super::responses::{ID_PREFIX, broken, history};
use super::state::Gateway;
use super::{body, headers, user};
use crate::core::run::{OnDisconnect, input_tokens as estimate};
use crate::dialect::responses::compact::{CompactedWindow, Compacting};
use crate::dialect::responses::fold::EndTime;
use crate::dialect::responses::request;
use crate::runs::registry::StartError;
use crate::runs::session::SessionKey;
use crate::runs::{Brief, Briefing, RunRequest, Runs};
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
    let mut session = headers::session(request.headers())?;
    let user = user::of_headers(request.headers(), &principal)?;
    let mut asked = request::parse_conversation(body::json(request, gateway.settings.body_limit).await?)?;
    let profile = gateway.profile(&asked.model)?;
    asked.fill_in(gateway.store.items(&principal.name, &asked.wanted()).await.map_err(broken)?)?;
    let history = history(&gateway, &principal.name, &asked).await?;
    if session == SessionKey::ByHistory && !history.is_new {
        session = SessionKey::ByOpening(history.opening(&asked.input));
    }
    let run = Runs::new_id();
    let brief = Brief {
        spec: asked.compaction(&history)?,
        session,
        user: user::or_body(user, asked.user()),
        housekeeping: false,
        off_record: true,
        previous: None,
        place: None,
    };
    let request = RunRequest {
        run,
        principal: principal.name,
        max_runs: principal.max_runs,
        profile,
        brief: Briefing::Done(brief.into()),
        record: None,
        ended_at: EndTime::default(),
        on_disconnect: OnDisconnect::Cancel,
        carry: String::new(),
        key: None,
        body: None,
    };
    let mut listener = gateway.runs.start(request).await?;
    // A client that leaves drops this handler, and its listener with it.
    let mut compacting = Compacting::default();
    while let Some(told) = listener.next().await {
        compacting.on(&told.event);
    }
    Ok(Json(compacting.into_window(run.answer(ID_PREFIX), now())?))
}

/// Counts the tokens that a request would begin with, by estimate, and runs nothing.
pub async fn input_tokens(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<Value>, Rejection> {
    let user = user::of_headers(request.headers(), &principal)?;
    let mut asked = request::parse_conversation(body::json(request, gateway.settings.body_limit).await?)?;
    let profile = gateway.profile(&asked.model)?;
    asked.fill_in(gateway.store.items(&principal.name, &asked.wanted()).await.map_err(broken)?)?;
    let user = user::or_body(user, asked.user());
    let spec = asked.spec(&history(&gateway, &principal.name, &asked).await?)?;
    let (agent, _) = profile.equip(&profile.who(&principal.name, user)).await.map_err(StartError::Failed)?;
    Ok(Json(json!({"object": "response.input_tokens", "input_tokens": estimate(&agent, &spec)})))
}
