//! `POST /v1/responses`.

use super::super::auth::Principal;
use super::super::clock::now;
use super::super::error::Rejection;
use super::super::state::Gateway;
use super::super::{body, conversations, headers, stream};
use super::asker::{Asker, response_to_go_on_from};
use super::recent::Recent;
use super::{ID_PREFIX, broken};
use crate::core::event::{Outcome, RunEvent};
use crate::core::journal::{Journal, Told};
use crate::core::ports::conversations::ConversationKey;
use crate::core::ports::store::Chain;
use crate::core::run::OnDisconnect;
use crate::dialect::responses::events::{EventStream, Numbering};
use crate::dialect::responses::fold::{EndTime, Fold, Head};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::request::{self, ResponsesRequest};
use crate::dialect::responses::settings::InConversation;
use crate::runs::session::SessionKey;
use crate::runs::{Brief, Briefing, Listener, RunRequest, Runs};
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

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
    /// What it goes on from, outside of a conversation.
    pub chain: Option<Chain>,
}

/// Starts the run of a request.
pub async fn begin(gateway: &Gateway, from: Origin<'_>, asked: ResponsesRequest) -> Result<Begun, Rejection> {
    let Prepared { request, record, chain } = prepare(gateway, from, asked).await?;
    Ok(Begun { listener: gateway.runs.start(request).await?, record, chain })
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

async fn prepare(gateway: &Gateway, from: Origin<'_>, mut asked: ResponsesRequest) -> Result<Prepared, Rejection> {
    let Origin { principal, session, on_disconnect, recent } = from;
    let profile = gateway.profile(&asked.model)?;
    asked.adopt(&profile.agent.sampling);
    let (run, background, store) = (Runs::new_id(), asked.settings.background, asked.settings.store);
    let store_port = Arc::clone(&gateway.store);
    let mut asker = Asker { store: store_port, principal: Arc::clone(&principal.name), profile, session, asked };
    let (brief, chain) = brief(gateway, &mut asker, recent).await?;
    let Asker { profile, asked, .. } = asker;
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
        brief,
        record: store.then(|| record.clone()),
        on_disconnect: match background {
            true => OnDisconnect::Detach,
            false => on_disconnect.unwrap_or(profile.on_disconnect),
        },
        profile,
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
