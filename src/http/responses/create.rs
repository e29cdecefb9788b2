//! `POST /v1/responses`.

use super::super::auth::Principal;
use super::super::error::Rejection;
use super::super::state::Gateway;
use super::super::{body, headers, stream};
use super::recent::Recent;
use super::{ID_PREFIX, broken};
use crate::core::event::{Outcome, RunEvent};
use crate::core::housekeeping::is_housekeeping;
use crate::core::id::RunId;
use crate::core::journal::{Journal, Told};
use crate::core::ports::store::Chain;
use crate::core::run::OnDisconnect;
use crate::dialect::error::ApiError;
use crate::dialect::responses::events::{EventStream, Numbering};
use crate::dialect::responses::fold::{EndTime, Fold, Head};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::request::{self, ResponsesRequest};
use crate::runs::session::SessionKey;
use crate::runs::{Listener, LiveRun, RunRequest, Runs};
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
    let from = Origin {
        session: headers::session(request.headers())?,
        on_disconnect: headers::on_disconnect(request.headers())?,
        principal,
        recent: None,
    };
    let http = &gateway.settings;
    let asked = request::parse(body::json(request, http.body_limit).await?)?;
    let (stream, background) = (asked.stream, asked.settings.background);
    let Begun { listener, record: Record { head, .. }, .. } = begin(&gateway, from, asked).await?;
    match (background, stream) {
        (true, true) => Ok(stream::answer(listener, EventStream::new(head), http.keepalive)),
        (true, false) => Ok(Json(Fold::new(head).resource()).into_response()),
        (false, true) => {
            stream::answer_once_alive(listener, EventStream::new(head), http.header_wait, http.keepalive).await
        }
        (false, false) => whole(listener, head).await,
    }
}

/// Where a request comes from, whatever carried it.
pub struct Origin<'a> {
    pub principal: Principal,
    pub session: SessionKey,
    pub on_disconnect: Option<OnDisconnect>,
    /// What is known to its connection alone.
    pub recent: Option<&'a Recent>,
}

/// A response that has begun.
pub struct Begun {
    pub listener: Listener,
    pub record: Record,
    /// What it goes on from.
    pub chain: Chain,
}

/// Starts the run of a request.
pub async fn begin(gateway: &Gateway, from: Origin<'_>, asked: ResponsesRequest) -> Result<Begun, Rejection> {
    let Prepared { request, record, chain } = prepare(gateway, from, asked).await?;
    Ok(Begun { listener: gateway.runs.start(request).await?, record, chain })
}

/// Takes in what a request brings, for another to go on from. There is no run; its response is over at once.
pub async fn take_in(gateway: &Gateway, from: Origin<'_>, asked: ResponsesRequest) -> Result<Begun, Rejection> {
    let Prepared { request, record, chain } = prepare(gateway, from, asked).await?;
    let end = RunEvent::Finished { outcome: Outcome::Completed };
    let mut journal = Journal::default();
    journal.push(Told { sequence: Numbering::new(record.head.clone()).number(&end), event: end });
    if record.head.settings.store {
        let stored = record.stored(journal.clone());
        gateway.store.keep_response(&request.principal, stored).await.map_err(broken)?;
    }
    Ok(Begun { listener: Listener::to_journal(Arc::new(journal)), record, chain })
}

/// A request that can be run.
struct Prepared {
    request: RunRequest,
    record: Record,
    chain: Chain,
}

async fn prepare(gateway: &Gateway, from: Origin<'_>, mut asked: ResponsesRequest) -> Result<Prepared, Rejection> {
    let profile = gateway.profile(&asked.model)?;
    let chain = chain(gateway, &from, asked.settings.previous_response_id.as_deref()).await?;
    let Origin { principal, mut session, on_disconnect, .. } = from;
    if profile.inherit_instructions {
        asked.inherit_instructions(&chain);
    }
    let spec = asked.spec(&chain, &profile.agent.sampling)?;
    if let (SessionKey::ByHistory, Some(opening)) = (&session, asked.opening(&chain)) {
        session = SessionKey::ByOpening(opening);
    }
    let run = Runs::new_id();
    let (background, store) = (asked.settings.background, asked.settings.store);
    let head = Head {
        id: run.answer(ID_PREFIX),
        created_at: now(),
        model: profile.id.clone(),
        settings: Arc::new(asked.settings),
        activity: profile.tool_activity,
        ended: EndTime::by(now),
    };
    let record = Record::new(run, head, asked.input);
    let request = RunRequest {
        run,
        principal: principal.name,
        max_runs: principal.max_runs,
        housekeeping: is_housekeeping(&spec, asked.stream),
        spec,
        session,
        record: store.then(|| record.clone()),
        on_disconnect: match background {
            true => OnDisconnect::Detach,
            false => on_disconnect.unwrap_or(profile.on_disconnect),
        },
        profile,
    };
    Ok(Prepared { request, record, chain })
}

/// The answer that is no stream. A client that leaves drops this, and its listener with it.
async fn whole(mut listener: Listener, head: Head) -> Result<Response, Rejection> {
    let mut fold = Fold::new(head);
    while let Some(told) = listener.next().await {
        fold.on(&told.event);
    }
    Ok(Json(fold.into_answer()?).into_response())
}

/// The responses that a request goes on from.
async fn chain(gateway: &Gateway, from: &Origin<'_>, previous: Option<&str>) -> Result<Chain, ApiError> {
    let Some(id) = previous else { return Ok(Chain::new()) };
    if let Some(chain) = from.recent.and_then(|recent| recent.chain(id)) {
        return Ok(chain.clone());
    }
    let principal = &from.principal.name;
    let live = RunId::of_answer(id, ID_PREFIX).and_then(|run| gateway.runs.find(principal, run));
    // A client that has been told of the end may go on at once, even if the run is still seen here.
    let runs_on = |live: Arc<LiveRun>| live.record.is_some() && live.log.read(|journal| journal.outcome().is_none());
    if live.is_some_and(runs_on) {
        let message = "The response in `previous_response_id` is still in progress: wait for its end, or cancel it.";
        let error = ApiError::invalid("previous_response_id", message);
        return Err(error.with_code("previous_response_in_progress"));
    }
    let chain = gateway.store.chain(principal, id).await.map_err(broken)?;
    chain.ok_or_else(|| {
        let message = "The response in `previous_response_id`, or one that it goes on from, was not found: it was never stored, or deleted, or is too old.";
        let error = ApiError::new(404, "invalid_request_error", Some("previous_response_not_found"), message);
        error.with_param("previous_response_id")
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
