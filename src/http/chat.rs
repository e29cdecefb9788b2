//! `POST /v1/chat/completions`.

use super::auth::Principal;
use super::clock::now;
use super::error::Rejection;
use super::repeat::Repeat;
use super::state::Gateway;
use super::{body, headers, stream, user};
use crate::core::housekeeping::is_housekeeping;
use crate::core::id::RunId;
use crate::core::run::OnDisconnect;
use crate::dialect::chat::chunks::ChunkStream;
use crate::dialect::chat::object::Gathered;
use crate::dialect::chat::request;
use crate::dialect::chat::wire::AnswerHead;
use crate::dialect::record::{Chat, Record};
use crate::dialect::responses::fold::EndTime;
use crate::runs::registry::StartError;
use crate::runs::{Brief, Briefing, Listener, Profile, RunRequest, Runs};
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What the id of a chat completion begins with.
pub const ID_PREFIX: &str = "chatcmpl-";

/// What tells this route's requests from others with the same key.
const ROUTE: &str = "/v1/chat/completions";

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Rejection> {
    let (parts, body) = request.into_parts();
    let session = headers::session(&parts.headers)?;
    let on_disconnect = headers::on_disconnect(&parts.headers)?;
    let user = user::of_headers(&parts.headers, &principal)?;
    let body = body::json(Request::from_parts(parts.clone(), body), gateway.settings.body_limit).await?;
    let repeat = Repeat::of(&parts.headers, ROUTE, user.as_deref(), &body)?;
    let chat = request::parse(body)?;
    let profile = gateway.profile(&chat.model)?;
    let shown = Shown { stream: chat.stream, include_usage: chat.include_usage, profile: Arc::clone(&profile) };
    if let Some((run, earlier)) = repeat.earlier(&gateway, &principal).await? {
        return shown.answer(&gateway, run, earlier.listen()).await;
    }
    let run = Runs::new_id();
    let on_disconnect = repeat.on_disconnect(on_disconnect).unwrap_or(profile.on_disconnect);
    let housekeeping = is_housekeeping(&chat.spec, chat.stream);
    let user = user::or_body(user, chat.user());
    let key = repeat.idempotency_key();
    let request = RunRequest {
        run,
        principal: Arc::clone(&principal.name),
        max_runs: principal.max_runs,
        brief: Briefing::Done(Box::new(Brief {
            spec: chat.spec,
            session,
            user,
            housekeeping,
            off_record: false,
            previous: None,
            place: None,
        })),
        // A chat completion is asked for again by its key alone.
        record: key.as_ref().map(|_| record(run, &profile)),
        ended_at: EndTime::default(),
        on_disconnect,
        carry: String::new(),
        key,
        body: Some(repeat.hash).filter(|_| on_disconnect != OnDisconnect::Cancel),
        profile,
    };
    match gateway.runs.start(request).await {
        Ok(listener) => shown.answer(&gateway, run, listener).await,
        // Another request with the same key was faster.
        Err(StartError::Taken(keyed)) => {
            let (run, earlier) = repeat.found(&gateway, &principal, &keyed).await?;
            shown.answer(&gateway, run, earlier.listen()).await
        }
        Err(error) => Err(error.into()),
    }
}

fn record(run: RunId, profile: &Profile) -> Record {
    let (id, model) = (run.answer(ID_PREFIX), profile.id.clone());
    Record::Chat(Chat { id, model, created_at: run.created_at(), clock: Some(now) })
}

/// How a request wants its run to be shown.
struct Shown {
    stream: bool,
    include_usage: bool,
    profile: Arc<Profile>,
}

impl Shown {
    async fn answer(self, gateway: &Gateway, run: RunId, mut listener: Listener) -> Result<Response, Rejection> {
        let http = &gateway.settings;
        let head = AnswerHead { id: run.answer(ID_PREFIX), created: run.created_at(), model: self.profile.id.clone() };
        if self.stream {
            let chunks = ChunkStream::new(&head, self.include_usage, self.profile.tool_activity);
            return stream::answer_once_alive(listener, chunks, http.header_wait, http.keepalive).await;
        }
        // A client that leaves drops this handler, and its listener with it.
        let mut gathered = Gathered::default();
        while let Some(told) = listener.next_at_leisure().await {
            gathered.on(&told.event);
        }
        Ok(Json(gathered.into_object(head)?).into_response())
    }
}
