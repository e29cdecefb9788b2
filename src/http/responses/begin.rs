//! A request for a response becomes a run.

use super::super::auth::Principal;
use super::super::clock::now;
use super::super::error::Rejection;
use super::super::repeat::Repeat;
use super::super::state::Gateway;
use super::super::{conversations, headers, user};
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
use crate::dialect::responses::events::Numbering;
use crate::dialect::responses::fold::{EndTime, Head};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::request::ResponsesRequest;
use crate::dialect::responses::settings::{InConversation, Settings};
use crate::dialect::responses::view::View;
use crate::runs::registry::StartError;
use crate::runs::session::SessionKey;
use crate::runs::turns::Place;
use crate::runs::{Brief, Briefing, Listener, Profile, RunRequest, Runs};
use axum::http::HeaderMap;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Where a request comes from, whatever carried it.
pub struct Origin<'a> {
    pub principal: Principal,
    pub session: SessionKey,
    /// The person that the headers name.
    pub user: Option<Arc<str>>,
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
        let user = user::of_headers(headers, &principal)?;
        Ok(Self { principal, session, user, on_disconnect, recent: None, key: None, hash: None, body: None })
    }

    pub fn repeats(&mut self, repeat: &Repeat) {
        self.on_disconnect = repeat.on_disconnect(self.on_disconnect);
        (self.key, self.hash) = (repeat.idempotency_key(), Some(repeat.hash));
    }

    pub fn may_detach(&self, gateway: &Gateway, body: &Value) -> bool {
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
            SessionKey::ByHistory | SessionKey::ByOpening(_) | SessionKey::Shared(_) => None,
        };
        serde_json::to_string(&Carry { body, session, user: self.user.clone() }).unwrap_or_default()
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
        let turn = place.as_ref().and_then(Place::fence);
        let stored = record.stored(previous, turn, journal.clone());
        gateway.store.keep_response(&request.principal, stored, turn).await.map_err(broken)?;
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
    let Origin { principal, session, user, on_disconnect, recent, key, hash, .. } = from;
    let profile = gateway.profile(&asked.model)?;
    asked.fill_in(gateway.store.items(&principal.name, &asked.wanted()).await.map_err(broken)?)?;
    asked.adopt(&profile.agent.sampling);
    let (run, background, store) = (Runs::new_id(), asked.settings.background, asked.settings.store);
    let (store_port, principal_name) = (Arc::clone(&gateway.store), Arc::clone(&principal.name));
    let mut asker = Asker { store: store_port, principal: principal_name, profile, session, user, asked };
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
        ended_at: record.head.ended.clone(),
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
        (true, _) if !place.is_first() => Duration::ZERO,
        // From then on the wait is seen in the stream, or in the response.
        (true, _) | (false, true) => gateway.settings.header_wait,
        (false, false) => Duration::MAX,
    };
    // A client that leaves meanwhile drops this, and gives up its place.
    if let Ok(came) = timeout(patience, place.turn()).await {
        came.map_err(broken)?;
        return Ok(Briefing::Done(asker.in_conversation(&id, Some(place)).await?.into()));
    }
    let mut later = asker.clone();
    Ok(Briefing::Awaited(Box::pin(async move {
        place.turn().await.map_err(broken)?;
        later.in_conversation(&id, Some(place)).await
    })))
}

/// How the response of a run begins.
pub fn head(run: RunId, profile: &Profile, settings: Settings, view: View) -> Head {
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
