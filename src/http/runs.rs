//! `/v1/runs`: every run of the principal, whichever API has started it.

use super::auth::Principal;
use super::clock::now;
use super::error::{Rejection, store_unavailable};
use super::responses::Telling;
use super::state::Gateway;
use super::{body, chat, headers, responses, stream};
use crate::core::id::RunId;
use crate::core::journal::Journal;
use crate::core::ports::store::StoredResponse;
use crate::dialect::error::ApiError;
use crate::dialect::responses::list::{List, Page};
use crate::dialect::runs::{Events, ID_PREFIX, Run, model};
use crate::runs::{Listener, LiveRun};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, FromRequestParts, Path, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;
use url::form_urlencoded;

/// A run of this principal's, by the id in the path: in flight, or over and stored.
pub struct Found {
    gateway: Arc<Gateway>,
    run: RunId,
    state: Stand,
}

enum Stand {
    Running(Arc<LiveRun>),
    Stored(Arc<StoredResponse>),
}

impl FromRequestParts<Arc<Gateway>> for Found {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Rejection> {
        // An id that is no UTF-8 is the id of nothing.
        let id: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, gateway).await;
        let run = id.ok().and_then(|Path(id)| RunId::of_answer(&id, ID_PREFIX)).ok_or_else(unknown)?;
        let principal = Extension::<Principal>::from_request_parts(parts, gateway).await;
        let Extension(principal) = principal.map_err(|_| unknown())?;
        // In this order: a run is stored before it is gone from here.
        let state = match gateway.runs.find(&principal.name, run) {
            Some(live) => Stand::Running(live),
            None => Stand::Stored(stored(gateway, &principal, run).await?),
        };
        Ok(Self { gateway: Arc::clone(gateway), run, state })
    }
}

impl Found {
    fn object(&self) -> Run {
        match &self.state {
            Stand::Running(live) => running(live),
            Stand::Stored(stored) => {
                let id = Some(stored.id.clone());
                Run::new(self.run, model(&stored.head), id, stored.journal.outcome()).ended(stored.ended_at)
            }
        }
    }
}

pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    RawQuery(query): RawQuery,
) -> Result<Json<List<Run>>, Rejection> {
    let query = query.unwrap_or_default();
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let page = Page::parse(pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())))?;
    if !page.newest_first {
        return Err(ApiError::invalid("order", "`order` must be desc: runs are listed from the newest on.").into());
    }
    let before = page.after.as_deref().map(|id| {
        let refused = || ApiError::invalid("after", "`after` must be the id of a run, as in `last_id`.");
        RunId::of_answer(id, ID_PREFIX).ok_or_else(refused)
    });
    let (before, at_most) = (before.transpose()?, page.limit.saturating_add(1));
    // In this order: a run is stored before it is gone from here.
    let live = gateway.runs.unstored(&principal.name);
    let live = live.into_iter().filter(|live| before.is_none_or(|before| live.run < before));
    let stored = gateway.store.runs(&principal.name, before, at_most).await;
    let stored = stored.map_err(|error| store_unavailable(&error))?;
    let mut runs: Vec<_> = stored.into_iter().map(|summary| (summary.run, Run::of(summary))).collect();
    runs.extend(live.map(|live| (live.run, running(&live))));
    runs.sort_by_key(|(run, _)| std::cmp::Reverse(*run));
    let runs = runs.into_iter().map(|(_, object)| object).collect();
    Ok(Json(List::first(runs, page.limit, |run| &run.id)))
}

/// Starts what a body of `/v1/responses` asks for, in the background.
pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<Run>, Rejection> {
    let (parts, body) = request.into_parts();
    let mut body = body::json(Request::from_parts(parts.clone(), body), gateway.settings.body_limit).await?;
    if body.get("store") == Some(&Value::Bool(false)) {
        let message = "`store` must be true or left out: what a run comes to is fetched by its id.";
        return Err(ApiError::invalid("store", message).into());
    }
    if body.get("background").is_some_and(|value| *value != Value::Bool(true)) {
        return Err(
            ApiError::invalid("background", "`background` must be true or left out: runs wait for nobody.").into()
        );
    }
    if body.get("stream").is_some_and(|value| *value != Value::Bool(false)) {
        let message = "`stream` must be false or left out: read the run's events at `/v1/runs/{id}/events`.";
        return Err(ApiError::invalid("stream", message).into());
    }
    if let Some(body) = body.as_object_mut() {
        body.insert("background".to_owned(), Value::Bool(true));
    }
    let Telling { listener, head, .. } = Telling::of(&gateway, principal, &parts.headers, "/v1/runs", body).await?;
    let run = RunId::of_answer(&head.id, responses::ID_PREFIX).ok_or_else(unknown)?;
    let outcome = listener.log().read(|journal| journal.outcome().cloned());
    let ended = outcome.as_ref().and_then(|_| head.ended.get());
    Ok(Json(Run::new(run, head.model, Some(head.id), outcome.as_ref()).ended(ended)))
}

pub async fn get(found: Found) -> Json<Run> {
    Json(found.object())
}

/// Ends a run. One that is over stays as it is.
pub async fn stop(found: Found) -> Json<Run> {
    if let Stand::Running(live) = &found.state {
        live.cancel().await;
    }
    Json(found.object())
}

/// All that was told of a run and will be, from where the reader is.
pub async fn events(found: Found, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, Rejection> {
    let mut seen = headers::last_event_id(&headers)?.map(|id| number("Last-Event-ID", id)).transpose()?;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if key == "after" {
            seen = Some(number("after", &value)?);
        }
    }
    let listener = match &found.state {
        Stand::Running(live) => live.log.listen(),
        Stand::Stored(stored) => Listener::to_journal(Arc::clone(&stored.journal)),
    };
    Ok(stream::answer(listener, Events::after(seen.unwrap_or(0)), found.gateway.settings.keepalive))
}

fn running(live: &LiveRun) -> Run {
    let record = live.record.as_ref();
    let outcome = live.log.read(|journal| Journal::outcome(journal).cloned());
    let ended = record.and_then(|record| record.response()).map(|record| record.head.ended.clone());
    let ended = outcome.as_ref().and_then(|_| ended.map_or_else(|| Some(now()), |ended| ended.get()));
    let id = record.map(|record| record.id().to_owned());
    Run::new(live.run, live.model.clone(), id, outcome.as_ref()).ended(ended)
}

async fn stored(gateway: &Gateway, principal: &Principal, run: RunId) -> Result<Arc<StoredResponse>, ApiError> {
    for prefix in [responses::ID_PREFIX, chat::ID_PREFIX] {
        let stored = gateway.store.response(&principal.name, &run.answer(prefix)).await;
        if let Some(stored) = stored.map_err(|error| store_unavailable(&error))? {
            return Ok(stored);
        }
    }
    Err(unknown())
}

/// Of an id in a path.
fn unknown() -> ApiError {
    let message = "There is no run with this id: it is over and was not stored, or was deleted, or is too old.";
    ApiError::new(404, "invalid_request_error", Some("run_not_found"), message).with_param("id")
}

fn number(param: &str, text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::invalid(param, format!("`{param}` must be the `number` of an event.")))
}
