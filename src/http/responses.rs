//! `/v1/responses`.

use super::auth::Principal;
use super::error::Rejection;
use super::state::Gateway;
use super::{body, clients, session, stream};
use crate::core::housekeeping::is_housekeeping;
use crate::core::ports::store::{Chain, StoreError, StoredResponse};
use crate::dialect::error::ApiError;
use crate::dialect::responses::events::EventStream;
use crate::dialect::responses::fold::{Fold, Head};
use crate::dialect::responses::list::{ItemList, Page};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::request;
use crate::runs::session::SessionKey;
use crate::runs::{RunRequest, Runs};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use url::form_urlencoded;

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Rejection> {
    let mut session = session::key(request.headers())?;
    let always_sends_tools = clients::always_sends_tools(request.headers());
    let http = &gateway.settings;
    let mut asked = request::parse(body::json(request, http.body_limit).await?)?;
    if always_sends_tools {
        asked.forget_empty_tools();
    }
    let profile = gateway.profile(&asked.model)?;
    asked.fill_in(gateway.store.items(&principal.name, &asked.wanted()).await.map_err(broken)?)?;
    let chain = chain(&gateway, &principal, asked.settings.previous_response_id.as_deref()).await?;
    let spec = asked.spec(&chain, &profile.agent.sampling)?;
    if let (SessionKey::ByHistory, Some(opening)) = (&session, asked.opening(&chain)) {
        session = SessionKey::ByOpening(opening);
    }
    let run = Runs::new_id();
    let (activity, model) = (profile.tool_activity, profile.id.clone());
    let store = asked.settings.store;
    let settings = Arc::new(asked.settings);
    let head = Head { id: run.answer("resp_"), created_at: now(), model, settings, activity, ended: one_end() };
    let housekeeping = is_housekeeping(&spec, asked.stream);
    let record = store.then(|| Record::new(run, head.clone(), asked.input));
    let (principal, max_runs) = (principal.name, principal.max_runs);
    let run = RunRequest { run, principal, max_runs, profile, spec, session, housekeeping, record };
    let mut subscription = gateway.runs.start(run).await?;
    if asked.stream {
        return stream::answer(subscription, EventStream::new(head), http.header_wait, http.keepalive).await;
    }
    // A client that leaves drops this handler, and the subscription with it.
    let mut fold = Fold::new(head);
    while let Some(event) = subscription.events.recv().await {
        fold.on(&event);
    }
    Ok(Json(fold.into_answer()?).into_response())
}

pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Response, Rejection> {
    let id = readable(id)?;
    let query = query.unwrap_or_default();
    let streams = |(key, value): &(_, _)| key == "starting_after" || (key == "stream" && value != "false");
    if let Some((key, _)) = form_urlencoded::parse(query.as_bytes()).find(streams) {
        let message = format!("`{key}` is not supported yet: a stored response is given whole.");
        return Err(ApiError::invalid(key, message).into());
    }
    let stored = stored(&gateway, &principal, &id).await?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((headers, stored.resource.clone()).into_response())
}

pub async fn delete(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    id: Id,
) -> Result<Json<Value>, Rejection> {
    let id = readable(id)?;
    match gateway.store.delete_response(&principal.name, &id).await.map_err(broken)? {
        true => Ok(Json(json!({"id": id, "object": "response", "deleted": true}))),
        false => Err(unknown("id", None).into()),
    }
}

pub async fn input_items(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    id: Id,
    RawQuery(query): RawQuery,
) -> Result<Json<ItemList>, Rejection> {
    let id = readable(id)?;
    let query = query.unwrap_or_default();
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let page = Page::parse(pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())))?;
    Ok(Json(page.of_input(&stored(&gateway, &principal, &id).await?.input)?))
}

/// The id in a path.
type Id = Result<Path<String>, PathRejection>;

/// An id that is no UTF-8 is the id of nothing.
fn readable(id: Id) -> Result<String, ApiError> {
    id.map(|Path(id)| id).map_err(|_| unknown("id", None))
}

/// The responses that a request goes on from.
async fn chain(gateway: &Gateway, principal: &Principal, previous: Option<&str>) -> Result<Chain, ApiError> {
    let Some(id) = previous else { return Ok(Chain::new()) };
    let chain = gateway.store.chain(&principal.name, id).await.map_err(broken)?;
    chain.ok_or_else(|| unknown("previous_response_id", Some("previous_response_not_found")))
}

async fn stored(gateway: &Gateway, principal: &Principal, id: &str) -> Result<Arc<StoredResponse>, ApiError> {
    gateway.store.response(&principal.name, id).await.map_err(broken)?.ok_or_else(|| unknown("id", None))
}

fn unknown(param: &str, code: Option<&'static str>) -> ApiError {
    let message = match code {
        Some(_) => {
            "The response in `previous_response_id`, or one that it goes on from, was not found: it was never stored, or deleted, or is too old."
        }
        None => "There is no stored response with this id: it was never stored, or deleted, or is too old.",
    };
    ApiError::new(404, "invalid_request_error", code.or(Some("response_not_found")), message).with_param(param)
}

fn broken(error: StoreError) -> ApiError {
    tracing::error!(%error, "the store failed");
    ApiError::new(500, "server_error", Some("internal_error"), "The stored responses could not be reached.")
}

/// The end of one run: the first to ask sets it.
fn one_end() -> Arc<dyn Fn() -> u64 + Send + Sync> {
    let end = OnceLock::new();
    Arc::new(move || *end.get_or_init(now))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
