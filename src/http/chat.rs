//! `POST /v1/chat/completions`.

use super::auth::Principal;
use super::error::Rejection;
use super::state::Gateway;
use super::{body, session, stream};
use crate::core::housekeeping::is_housekeeping;
use crate::dialect::chat::chunks::ChunkStream;
use crate::dialect::chat::object::Gathered;
use crate::dialect::chat::request;
use crate::dialect::chat::wire::AnswerHead;
use crate::runs::{RunRequest, Runs};
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Rejection> {
    let session = session::key(request.headers())?;
    let settings = &gateway.settings;
    let chat = request::parse(body::json(request, settings.body_limit).await?)?;
    let profile = gateway.profile(&chat.model)?;
    let activity = profile.tool_activity;
    let model = profile.id.clone();
    let housekeeping = is_housekeeping(&chat.spec, chat.stream);
    let (principal, max_runs) = (principal.name, principal.max_runs);
    let run = Runs::new_id();
    let run = RunRequest { run, principal, max_runs, profile, spec: chat.spec, session, housekeeping, record: None };
    let mut subscription = gateway.runs.start(run).await?;
    let head = AnswerHead { id: subscription.run.answer("chatcmpl-"), created: now(), model };
    if chat.stream {
        let chunks = ChunkStream::new(&head, chat.include_usage, activity);
        return stream::answer(subscription, chunks, settings.header_wait, settings.keepalive).await;
    }
    // A client that leaves drops this handler, and the subscription with it.
    let mut gathered = Gathered::default();
    while let Some(event) = subscription.events.recv().await {
        gathered.on(&event);
    }
    Ok(Json(gathered.into_object(head)?).into_response())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
