//! `/v1/responses` as a WebSocket: one turn after the other, each a response with the events of the stream.

use super::super::auth::Principal;
use super::super::error::Rejection;
use super::super::serve::Connections;
use super::super::state::Gateway;
use super::super::stream::{Feed, Next};
use super::super::websocket::{self, CloseCode, Gone, Hangup, Incoming, Outgoing, WebSocket};
use super::super::{body, headers, user};
use super::begin::{Begun, NotBegun, Origin, begin, take_in};
use super::recent::Recent;
use super::waiting::{MAX_WAITING, Waiting};
use crate::core::event::Outcome;
use crate::core::journal::Journal;
use crate::core::ports::store::Link;
use crate::core::run::OnDisconnect;
use crate::dialect::error::ApiError;
use crate::dialect::responses::events::EventStream;
use crate::dialect::responses::websocket::{self as messages, Create};
use crate::runs::registry::StartError;
use crate::runs::session::SessionKey;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::sleep;

pub async fn open(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    Extension(connections): Extension<Connections>,
    mut request: Request,
) -> Result<Response, Rejection> {
    let session = headers::session(request.headers())?;
    let user = user::of_headers(request.headers(), &principal)?;
    let on_disconnect = headers::on_disconnect(request.headers())?;
    if gateway.runs.is_draining() {
        return Err(StartError::Draining.into());
    }
    let limit = gateway.settings.body_limit;
    let talk = Talk { gateway, principal, session, user, on_disconnect, recent: Recent::default(), turns: 0 };
    websocket::upgrade(&mut request, &connections, limit, |socket| talk.hold(socket))
}

/// What one connection knows.
struct Talk {
    gateway: Arc<Gateway>,
    principal: Principal,
    session: SessionKey,
    /// The person that the headers name.
    user: Option<Arc<str>>,
    on_disconnect: Option<OnDisconnect>,
    recent: Recent,
    turns: u64,
}

/// Why a connection is closed.
#[derive(Debug)]
enum End {
    Gone,
    TooLarge,
    Broken(CloseCode),
    TimeIsUp,
    ShuttingDown,
}

impl Talk {
    /// Takes turns until one side has had enough. A turn that is cut short by that loses its listener.
    async fn hold(mut self, mut socket: WebSocket) {
        let begun = Instant::now();
        let waiting = Waiting::up_to(self.gateway.settings.body_limit);
        let end = tokio::select! {
            end = listen(&mut socket.incoming, &socket.outgoing, &waiting) => end,
            end = self.answer(&waiting, &socket.outgoing) => end,
        };
        tracing::info!(?end, turns = self.turns, seconds = begun.elapsed().as_secs(), "a WebSocket was closed");
        let last = self.last_words(&end).map(|error| messages::error(&error, None));
        let (code, reason) = end.goodbye();
        socket.close(last, code, reason).await;
    }

    async fn answer(&mut self, waiting: &Waiting, outgoing: &Outgoing) -> End {
        let (gateway, keepalive) = (Arc::clone(&self.gateway), self.gateway.settings.keepalive);
        let mut time = pin!(sleep(gateway.settings.websocket_time));
        loop {
            let message = tokio::select! {
                biased;
                () = time.as_mut() => return End::TimeIsUp,
                message = waiting.next() => message,
                () = gateway.runs.draining() => return End::ShuttingDown,
                () = sleep(keepalive) => match outgoing.ping().await {
                    Ok(()) => continue,
                    Err(Gone) => return End::Gone,
                },
            };
            if let Err(Gone) = self.turn(message, outgoing).await {
                return End::Gone;
            }
        }
    }

    /// Answers one message, whatever it is.
    async fn turn(&mut self, message: Bytes, outgoing: &Outgoing) -> Result<(), Gone> {
        self.turns = self.turns.saturating_add(1);
        let asked = match body::parse(message).await {
            Ok(message) => messages::parse(message),
            Err(error) => return outgoing.say(messages::error(&error, None)).await,
        };
        let begun = match asked.create {
            Ok(Some(create)) => self.begin(create).await.map_err(|Rejection(error)| error),
            Ok(None) => return Ok(()),
            Err(error) => Err(error),
        };
        let went_well = match begun {
            Ok(begun) => self.tell(begun, asked.stream_id, outgoing).await?,
            Err(error) => {
                outgoing.say(messages::error(&error, asked.stream_id.as_deref())).await?;
                false
            }
        };
        if let (false, Some(previous)) = (went_well, asked.previous) {
            // The specification's rule: nobody shall go on from where it has failed, but begin anew.
            self.recent.forget(&previous);
        }
        Ok(())
    }

    async fn begin(&self, create: Create) -> Result<Begun, Rejection> {
        let from = Origin {
            principal: self.principal.clone(),
            session: self.session.clone(),
            user: self.user.clone(),
            on_disconnect: self.on_disconnect,
            recent: Some(&self.recent),
            key: None,
            hash: None,
            body: None,
        };
        match create.generate {
            true => begin(&self.gateway, from, create.request).await.map_err(NotBegun::into_rejection),
            false => take_in(&self.gateway, from, create.request).await,
        }
    }

    /// Tells a response to its end, and says whether it did not fail.
    async fn tell(&mut self, begun: Begun, stream_id: Option<String>, outgoing: &Outgoing) -> Result<bool, Gone> {
        let Begun { listener, record, chain } = begun;
        let log = listener.log();
        let events = EventStream::new(record.head.clone()).as_messages(stream_id);
        let mut feed = Feed::new(listener, events, self.gateway.settings.keepalive);
        while let Some(next) = feed.next().await {
            match next {
                Next::Frame(json) => outgoing.say(json).await?,
                Next::Silence => outgoing.ping().await?,
            }
        }
        let journal = log.read(Journal::clone);
        let went_well = journal.outcome().is_some_and(|outcome| !matches!(outcome, Outcome::Failed { .. }));
        let settings = &record.head.settings;
        let previous = settings.previous_response_id.as_deref();
        // The store knows nothing of one that goes on from what it does not have.
        let is_ours = !settings.store || previous.is_some_and(|id| self.recent.chain(id).is_some());
        if let Some(mut chain) = chain.filter(|_| went_well && is_ours) {
            chain.push(Link::Response(Arc::new(record.stored(settings.previous_response_id.clone(), None, journal))));
            self.recent.keep(chain);
        }
        Ok(went_well)
    }

    /// What a client is told that does not know why it is left.
    fn last_words(&self, end: &End) -> Option<ApiError> {
        let settings = &self.gateway.settings;
        match end {
            End::TimeIsUp => {
                let message =
                    "This connection has been open as long as one may (`server.websocket_time`): open a new one.";
                Some(ApiError::invalid("", message).with_code("websocket_connection_limit_reached"))
            }
            End::TooLarge => Some(body::too_large(settings.body_limit)),
            End::Gone | End::Broken(_) | End::ShuttingDown => None,
        }
    }
}

impl End {
    fn goodbye(&self) -> (CloseCode, &'static str) {
        match self {
            Self::Gone => (CloseCode::Normal, ""),
            Self::TooLarge => (CloseCode::Size, "The message is too large."),
            Self::Broken(code) => (*code, "This is not what a WebSocket carries."),
            Self::TimeIsUp => (CloseCode::Away, "The connection has been open as long as it may."),
            Self::ShuttingDown => (CloseCode::Away, "The server is shutting down."),
        }
    }
}

/// Puts what the client says where it waits for its turn.
async fn listen(incoming: &mut Incoming, outgoing: &Outgoing, waiting: &Waiting) -> End {
    loop {
        let message = match incoming.next().await {
            Ok(message) => message,
            Err(Hangup::Gone) => return End::Gone,
            Err(Hangup::TooLarge) => return End::TooLarge,
            Err(Hangup::Broken(code)) => return End::Broken(code),
        };
        let Err(message) = waiting.push(message) else { continue };
        let stream_id = body::parse(message).await.ok().and_then(|message| messages::stream_id(&message));
        let text = format!("Up to {MAX_WAITING} messages wait here for their turn: wait for the end of a response.");
        let error = ApiError::new(429, "rate_limit_error", Some("rate_limit_exceeded"), text);
        if let Err(Gone) = outgoing.say(messages::error(&error, stream_id.as_deref())).await {
            return End::Gone;
        }
    }
}
