//! `POST /v1/chat/completions`.

use super::auth::Principal;
use super::clock::now;
use super::error::Rejection;
use super::state::Gateway;
use super::{body, headers, stream};
use crate::core::housekeeping::is_housekeeping;
use crate::dialect::chat::chunks::ChunkStream;
use crate::dialect::chat::object::Gathered;
use crate::dialect::chat::request;
use crate::dialect::chat::wire::AnswerHead;
use crate::runs::{Brief, Briefing, RunRequest, Runs};
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Rejection> {
    let session = headers::session(request.headers())?;
    let on_disconnect = headers::on_disconnect(request.headers())?;
    let settings = &gateway.settings;
    let chat = request::parse(body::json(request, settings.body_limit).await?)?;
    let profile = gateway.profile(&chat.model)?;
    let activity = profile.tool_activity;
    let model = profile.id.clone();
    let housekeeping = is_housekeeping(&chat.spec, chat.stream);
    let (principal, max_runs) = (principal.name, principal.max_runs);
    let run = Runs::new_id();
    let head = AnswerHead { id: run.answer("chatcmpl-"), created: now(), model };
    let run = RunRequest {
        run,
        principal,
        max_runs,
        brief: Briefing::Done(Box::new(Brief { spec: chat.spec, session, housekeeping, previous: None, place: None })),
        record: None,
        on_disconnect: on_disconnect.unwrap_or(profile.on_disconnect),
        profile,
    };
    let mut listener = gateway.runs.start(run).await?;
    if chat.stream {
        let chunks = ChunkStream::new(&head, chat.include_usage, activity);
        return stream::answer_once_alive(listener, chunks, settings.header_wait, settings.keepalive).await;
    }
    // A client that leaves drops this handler, and its listener with it.
    let mut gathered = Gathered::default();
    while let Some(told) = listener.next().await {
        gathered.on(&told.event);
    }
    Ok(Json(gathered.into_object(head)?).into_response())
}
