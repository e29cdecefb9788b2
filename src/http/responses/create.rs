//! `POST /v1/responses`.

use super::super::auth::Principal;
use super::super::clock::now;
use super::super::error::Rejection;
use super::super::repeat::{Earlier, Repeat};
use super::super::state::Gateway;
use super::super::{body, clients, conversations, headers, stream};
use super::asker::{Asker, response_to_go_on_from};
use super::carry_on::Carry;
use super::recent::Recent;
use super::{ID_PREFIX, broken};
use crate::core::event::{Outcome, RunEvent};
use crate::core::id::RunId;
use crate::core::journal::{Journal, Told};
use crate::core::ports::conversations::ConversationKey;
use crate::core::ports::journals::{IdempotencyKey, KeyedRun};
use crate::core::ports::store::Chain;
use crate::core::run::OnDisconnect;
use crate::dialect::error::ApiError;
use crate::dialect::record;
use crate::dialect::responses::events::{EventStream, Numbering};
use crate::dialect::responses::fold::{EndTime, Fold, Head};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::request::{self, ResponsesRequest};
use crate::dialect::responses::settings::{InConversation, Settings};
use crate::dialect::responses::view::View;
use crate::runs::registry::StartError;
use crate::runs::session::SessionKey;
use crate::runs::{Brief, Briefing, Listener, Profile, RunRequest, Runs};
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What tells this route's requests from others with the same key.
const ROUTE: &str = "/v1/responses";

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Rejection> {
    let (parts, body) = request.into_parts();
    let mut from = Origin::of(principal, &parts.headers)?;
    let mut body = body::json(Request::from_parts(parts.clone(), body), gateway.settings.body_limit).await?;
    clients::forget_empty_tools(&parts.headers, &mut body);
    let repeat = Repeat::of(&parts.headers, ROUTE, &body)?;
    from.repeats(&repeat);
    from.body = from.may_detach(&gateway, &body).then(|| body.clone());
    let asked = request::parse(body)?;
    if let Some((run, earlier)) = repeat.earlier(&gateway, &from.principal).await? {
        return again(&gateway, run, &earlier, asked).await;
    }
    let manner = (asked.settings.background, asked.stream);
    let (principal, same) = (from.principal.clone(), asked.clone());
    match begin(&gateway, from, asked).await {
        Ok(Begun { listener, record, .. }) => answer(&gateway, listener, record.head, manner).await,
        // Another request with the same key was faster.
        Err(NotBegun::Taken(keyed)) => {
            let (run, earlier) = repeat.found(&gateway, &principal, &keyed).await?;
            again(&gateway, run, &earlier, same).await
        }
        Err(NotBegun::Rejected(rejection)) => Err(rejection),
    }
}

/// Answers a request that was made before: with what was told then, and what is told from now on.
async fn again(
    gateway: &Gateway,
    run: RunId,
    earlier: &Earlier,
    mut asked: ResponsesRequest,
) -> Result<Response, Rejection> {
    let manner = (asked.settings.background, asked.stream);
    let kept = match earlier {
        Earlier::Live(live) => live.record.as_ref().and_then(record::Record::response).cloned(),
        Earlier::Stored(stored) => Record::of(stored),
    };
    let head = match kept {
        Some(record) => record.head,
        // Of a run that is not stored nothing is kept, but the request says all of it once more.
        None => {
            let profile = gateway.profile(&asked.model)?;
            asked.adopt(&profile.agent.sampling);
            head(run, &profile, asked.settings, asked.view)
        }
    };
    answer(gateway, earlier.listen(), head, manner).await
}

/// `manner`: in the background, as a stream.
async fn answer(
    gateway: &Gateway,
    listener: Listener,
    head: Head,
    manner: (bool, bool),
) -> Result<Response, Rejection> {
    let http = &gateway.settings;
    match manner {
        (true, true) => Ok(stream::answer(listener, EventStream::new(head), http.keepalive)),
        (true, false) => Ok(Json(Fold::new(head).resource()).into_response()),
        (false, true) => {
            stream::answer_once_alive(listener, EventStream::new(head), http.header_wait, http.keepalive).await
        }
        (false, false) => whole(listener, head).await,
    }
}

/// How the response of a run begins.
fn head(run: RunId, profile: &Profile, settings: Settings, view: View) -> Head {
    Head {
        id: run.answer(ID_PREFIX),
        created_at: run.created_at(),
        model: profile.id.clone(),
        settings: Arc::new(settings),
        activity: profile.tool_activity,
        view,
        ended: EndTime::by(now),
    }
}

/// Where a request comes from, whatever carried it.
pub struct Origin<'a> {
    pub principal: Principal,
    pub session: SessionKey,
    pub on_disconnect: Option<OnDisconnect>,
    /// What is known to its connection alone.
    pub recent: Option<&'a Recent>,
    pub key: Option<IdempotencyKey>,
    /// Hash of the body, where the client may send it again.
    pub hash: Option<[u8; 32]>,
    /// The body as it was sent, where the run may outlive this process.
    pub body: Option<Value>,
}

impl Origin<'_> {
    pub fn of(principal: Principal, headers: &HeaderMap) -> Result<Self, ApiError> {
        let (session, on_disconnect) = (headers::session(headers)?, headers::on_disconnect(headers)?);
        Ok(Self { principal, session, on_disconnect, recent: None, key: None, hash: None, body: None })
    }

    fn repeats(&mut self, repeat: &Repeat) {
        self.on_disconnect = repeat.on_disconnect(self.on_disconnect);
        (self.key, self.hash) = (repeat.idempotency_key(), Some(repeat.hash));
    }

    fn may_detach(&self, gateway: &Gateway, body: &Value) -> bool {
        let detaches = |profile: &Arc<Profile>| profile.on_disconnect == OnDisconnect::Detach;
        body.get("background") == Some(&Value::Bool(true))
            || self.on_disconnect == Some(OnDisconnect::Detach)
            || (self.on_disconnect.is_none() && gateway.profiles.values().any(detaches))
    }

    /// What another process needs to go on with the run.
    fn carry(&mut self) -> String {
        let Some(body) = self.body.take() else { return String::new() };
        let session = match &self.session {
            SessionKey::Named(session) => Some(session.clone()),
            SessionKey::ByHistory | SessionKey::ByOpening(_) => None,
        };
        serde_json::to_string(&Carry { body, session }).unwrap_or_default()
    }
}

/// Why no run was begun.
pub enum NotBegun {
    Rejected(Rejection),
    /// The key of the request stands for this run.
    Taken(KeyedRun),
}

impl<E: Into<Rejection>> From<E> for NotBegun {
    fn from(error: E) -> Self {
        Self::Rejected(error.into())
    }
}

impl NotBegun {
    pub fn into_rejection(self) -> Rejection {
        match self {
            Self::Rejected(rejection) => rejection,
            Self::Taken(run) => StartError::Taken(run).into(),
        }
    }
}

/// A response that has begun.
pub struct Begun {
    pub listener: Listener,
    pub record: Record,
    /// What it goes on from, outside of a conversation.
    pub chain: Option<Chain>,
}

/// Starts the run of a request.
pub async fn begin(gateway: &Gateway, from: Origin<'_>, asked: ResponsesRequest) -> Result<Begun, NotBegun> {
    let Prepared { request, record, chain } = prepare(gateway, from, asked).await?;
    match gateway.runs.start(request).await {
        Ok(listener) => Ok(Begun { listener, record, chain }),
        Err(StartError::Taken(run)) => Err(NotBegun::Taken(run)),
        Err(error) => Err(Rejection::from(error).into()),
    }
}

/// Takes in what a request brings, for another to go on from. There is no run; its response is over at once.
pub async fn take_in(gateway: &Gateway, from: Origin<'_>, asked: ResponsesRequest) -> Result<Begun, Rejection> {
    let Prepared { request, record, chain } = prepare(gateway, from, asked).await?;
    let Brief { previous, place, .. } = match request.brief {
        Briefing::Done(brief) => *brief,
        Briefing::Awaited(brief) => brief.await?,
    };
    let end = RunEvent::Finished { outcome: Outcome::Completed };
    let mut journal = Journal::default();
    journal.push(Told { sequence: Numbering::new(record.head.clone()).number(&end), event: end });
    if record.head.settings.store {
        let stored = record.stored(previous, journal.clone());
        gateway.store.keep_response(&request.principal, stored).await.map_err(broken)?;
    }
    drop(place);
    Ok(Begun { listener: Listener::to_journal(Arc::new(journal)), record, chain })
}

/// A request that can be run.
struct Prepared {
    request: RunRequest,
    record: Record,
    chain: Option<Chain>,
}

async fn prepare(gateway: &Gateway, mut from: Origin<'_>, mut asked: ResponsesRequest) -> Result<Prepared, Rejection> {
    let carry = from.carry();
    let Origin { principal, session, on_disconnect, recent, key, hash, .. } = from;
    let profile = gateway.profile(&asked.model)?;
    asked.fill_in(gateway.store.items(&principal.name, &asked.wanted()).await.map_err(broken)?)?;
    asked.adopt(&profile.agent.sampling);
    let (run, background, store) = (Runs::new_id(), asked.settings.background, asked.settings.store);
    let store_port = Arc::clone(&gateway.store);
    let mut asker = Asker { store: store_port, principal: Arc::clone(&principal.name), profile, session, asked };
    let (brief, chain) = brief(gateway, &mut asker, recent).await?;
    let Asker { profile, asked, .. } = asker;
    let head = head(run, &profile, asked.settings, asked.view);
    let record = Record::new(run, head, asked.input);
    let on_disconnect = match background {
        true => OnDisconnect::Detach,
        false => on_disconnect.unwrap_or(profile.on_disconnect),
    };
    let request = RunRequest {
        run,
        principal: principal.name,
        max_runs: principal.max_runs,
        brief,
        record: store.then(|| record::Record::Response(record.clone())),
        carry: if on_disconnect == OnDisconnect::Detach { carry } else { String::new() },
        on_disconnect,
        profile,
        key,
        // Only a run that its client may come back to is looked for by it.
        body: hash.filter(|_| on_disconnect != OnDisconnect::Cancel),
    };
    Ok(Prepared { request, record, chain })
}

/// What the run is to do, and the chain that it goes on from outside of a conversation.
async fn brief(
    gateway: &Gateway,
    asker: &mut Asker,
    recent: Option<&Recent>,
) -> Result<(Briefing, Option<Chain>), Rejection> {
    let Some(key) = asker.asked.conversation.clone() else {
        let previous = asker.asked.settings.previous_response_id.as_deref();
        let known = previous.and_then(|id| recent?.chain(id)).cloned();
        let chain = match known {
            Some(chain) => chain,
            None => response_to_go_on_from(gateway, &asker.principal, previous).await?,
        };
        return Ok((Briefing::Done(asker.after(&chain)?.into()), Some(chain)));
    };
    Ok((brief_in(gateway, asker, &key).await?, None))
}

/// What the run is to do in a conversation; or the promise of it, where others have their turn first.
async fn brief_in(gateway: &Gateway, asker: &mut Asker, key: &ConversationKey) -> Result<Briefing, Rejection> {
    let store = asker.asked.settings.store;
    let Some(id) = conversations::resolve(gateway, &asker.principal, key, store).await? else {
        // Nothing has been said under this name, and this request is to leave nothing.
        return Ok(Briefing::Done(asker.after(&[])?.into()));
    };
    asker.asked.settings.conversation = Some(InConversation { id: id.clone() });
    if !store {
        return Ok(Briefing::Done(asker.in_conversation(&id, None).await?.into()));
    }
    let place = conversations::line_up(gateway, &asker.principal, &id)?;
    let patience = match (asker.asked.settings.background, asker.asked.stream) {
        (true, _) => Duration::ZERO,
        // From then on the wait is seen in the stream.
        (false, true) => gateway.settings.header_wait,
        (false, false) => Duration::MAX,
    };
    // A client that leaves meanwhile drops this, and gives up its place.
    if timeout(patience, place.turn()).await.is_ok() {
        return Ok(Briefing::Done(asker.in_conversation(&id, Some(place)).await?.into()));
    }
    let mut later = asker.clone();
    Ok(Briefing::Awaited(Box::pin(async move {
        place.turn().await;
        later.in_conversation(&id, Some(place)).await
    })))
}

/// The answer that is no stream. A client that leaves drops this, and its listener with it.
async fn whole(mut listener: Listener, head: Head) -> Result<Response, Rejection> {
    let mut fold = Fold::new(head);
    while let Some(told) = listener.next().await {
        fold.on(&told.event);
    }
    Ok(Json(fold.into_answer()?).into_response())
}
