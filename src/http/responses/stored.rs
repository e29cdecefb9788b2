//! `/v1/responses/{id}` and what is below it: a response that runs or has run.

use super::super::auth::Principal;
use super::super::error::Rejection;
use super::super::state::Gateway;
use super::super::{headers, stream};
use super::{ID_PREFIX, broken, stored, unknown};
use crate::core::id::RunId;
use crate::core::ports::store::StoredResponse;
use crate::dialect::error::ApiError;
use crate::dialect::responses::events::EventStream;
use crate::dialect::responses::items::WireItem;
use crate::dialect::responses::list::{List, Page};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::resource::Resource;
use crate::runs::{Listener, LiveRun};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, FromRequestParts, Path, RawQuery};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use url::form_urlencoded;

/// A response of this principal's, by the id in the path: running, or over and stored.
pub struct Found {
    gateway: Arc<Gateway>,
    principal: Principal,
    id: String,
    state: Stand,
}

enum Stand {
    Running(Arc<LiveRun>, Record),
    Stored(Arc<StoredResponse>, Record),
}

impl FromRequestParts<Arc<Gateway>> for Found {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Rejection> {
        // An id that is no UTF-8 is the id of nothing.
        let id: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, gateway).await;
        let Path(id) = id.map_err(|_| unknown())?;
        let principal = Extension::<Principal>::from_request_parts(parts, gateway).await;
        let Extension(principal) = principal.map_err(|_| unknown())?;
        // In this order: a run is stored before it is gone from here.
        let live = RunId::of_answer(&id, ID_PREFIX).and_then(|run| gateway.runs.find(&principal.name, run));
        let state = match live.and_then(|live| Some((live.record.as_ref()?.response()?.clone(), live))) {
            Some((record, live)) => Stand::Running(live, record),
            None => {
                let stored = stored(gateway, &principal, &id).await?;
                let record = Record::of(&stored).ok_or_else(unknown)?;
                Stand::Stored(stored, record)
            }
        };
        Ok(Self { gateway: Arc::clone(gateway), principal, id, state })
    }
}

impl Found {
    fn record(&self) -> &Record {
        match &self.state {
            Stand::Running(_, record) | Stand::Stored(_, record) => record,
        }
    }

    fn resource(&self) -> Resource {
        match &self.state {
            Stand::Running(live, record) => live.log.read(|journal| record.resource(journal.events())),
            Stand::Stored(stored, record) => record.resource(stored.journal.events()),
        }
    }

    /// Everything that was and will be told of it.
    fn listen(&self) -> Listener {
        match &self.state {
            Stand::Running(live, _) => live.log.listen(),
            Stand::Stored(stored, _) => Listener::to_journal(Arc::clone(&stored.journal)),
        }
    }
}

pub async fn get(found: Found, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, Rejection> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default(), &headers)?;
    if !asked.stream {
        return Ok(Json(found.resource()).into_response());
    }
    let events = EventStream::after(found.record().head.clone(), asked.seen);
    Ok(stream::answer(found.listen(), events, found.gateway.settings.keepalive))
}

pub async fn delete(found: Found) -> Result<Json<Value>, Rejection> {
    let Found { gateway, principal, id, state } = found;
    if let Stand::Running(live, _) = state {
        live.cancel().await;
    }
    match gateway.store.delete_response(&principal.name, &id).await.map_err(broken)? {
        true => Ok(Json(json!({"id": id, "object": "response", "deleted": true}))),
        false => Err(unknown().into()),
    }
}

/// Ends a run. One that is over stays as it is.
pub async fn cancel(found: Found) -> Json<Resource> {
    if let Stand::Running(live, _) = &found.state {
        live.cancel().await;
    }
    Json(found.resource())
}

pub async fn input_items(found: Found, RawQuery(query): RawQuery) -> Result<Json<List<WireItem>>, Rejection> {
    let query = query.unwrap_or_default();
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let page = Page::parse(pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())))?;
    Ok(Json(page.of(WireItem::of_input(found.record().input()))?))
}

/// What a `GET` asks for.
struct Asked {
    stream: bool,
    /// The number of the last event that the client has.
    seen: Option<u64>,
}

impl Asked {
    fn parse(query: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let (mut stream, mut seen) = (false, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match (key.as_ref(), value.as_ref()) {
                ("stream", "true" | "1") => stream = true,
                ("stream", "false" | "0") => stream = false,
                ("stream", _) => return Err(ApiError::invalid("stream", "`stream` must be true or false.")),
                ("starting_after", number) => seen = Some(sequence_number("starting_after", number)?),
                _ => {}
            }
        }
        if seen.is_some() && !stream {
            let message = "`starting_after` is for streams alone: set `stream` to true or leave it out.";
            return Err(ApiError::invalid("starting_after", message));
        }
        let last = headers::last_event_id(headers)?.map(|id| sequence_number("Last-Event-ID", id)).transpose()?;
        Ok(Self { stream, seen: seen.or(last) })
    }
}

fn sequence_number(param: &str, text: &str) -> Result<u64, ApiError> {
    let message = format!("`{param}` must be the `sequence_number` of an event.");
    text.parse().map_err(|_| ApiError::invalid(param, message))
}
