//! WebSockets: how a connection becomes one, the two ways of an open one, and how it is closed.

use super::error::Rejection;
use super::serve::Connections;
use crate::dialect::error::ApiError;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tracing::Instrument;

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// What a connection keeps for reading, so that idle ones cost little.
const READ_BUFFER: usize = 16 << 10;

/// How long a client may take for the last messages and its own goodbye.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// An open WebSocket.
pub struct WebSocket {
    pub incoming: Incoming,
    pub outgoing: Outgoing,
}

/// The messages of the client. They must be read on all the time: pings are answered by that, and a client that leaves
/// is noticed by it.
pub struct Incoming(SplitStream<Stream>);

/// The way to the client, for one at a time. Whoever waits here for the client to read waits with its own work.
pub struct Outgoing(Mutex<SplitSink<Stream, Message>>);

/// The client is gone, or its connection is.
#[derive(Debug)]
pub struct Gone;

/// Why nothing more comes in.
#[derive(Debug)]
pub enum Hangup {
    Gone,
    TooLarge,
    /// What came is no WebSocket frame, or no text.
    Broken(CloseCode),
}

/// Answers 101 and hands the open WebSocket to `serve`, in a task that the server waits for. `limit` is in bytes of one
/// message. Extensions are not negotiated: the library has no permessage-deflate.
pub fn upgrade<F>(
    request: &mut Request,
    connections: &Connections,
    limit: usize,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Result<Response, Rejection>
where
    F: Future<Output = ()> + Send + 'static,
{
    let answer = create_response_with_body(request, Body::empty).map_err(|error| no_handshake(&error))?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(not_here)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let task = async move {
        // The client may leave before it has the answer.
        let Ok(upgraded) = upgrade.await else { return };
        let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (outgoing, incoming) = stream.split();
        serve(WebSocket { incoming: Incoming(incoming), outgoing: Outgoing(Mutex::new(outgoing)) }).await;
    };
    connections.spawn(task.in_current_span());
    Ok(answer)
}

fn no_handshake(error: &Error) -> ApiError {
    let needed = "a WebSocket handshake: `Connection: Upgrade`, `Upgrade: websocket`, `Sec-WebSocket-Version: 13`";
    match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey) => {
            let message = "The header `Sec-WebSocket-Key` must be 16 bytes in base64.";
            ApiError::invalid("Sec-WebSocket-Key", message)
        }
        _ => {
            let message =
                format!("A GET of this path must be {needed}. Without a WebSocket, send the request by POST.");
            ApiError::new(426, "invalid_request_error", Some("upgrade_required"), message)
        }
    }
}

fn not_here() -> ApiError {
    ApiError::new(500, "server_error", Some("internal_error"), "This connection cannot become a WebSocket.")
}

impl Incoming {
    /// The next message, text or binary. Can be dropped at any time.
    pub async fn next(&mut self) -> Result<Bytes, Hangup> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.into()),
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(Hangup::Gone),
                Some(Err(error)) => return Err(hangup(&error)),
            }
        }
    }
}

fn hangup(error: &Error) -> Hangup {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Hangup::TooLarge,
        Error::Utf8(_) => Hangup::Broken(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Hangup::Gone,
        Error::Protocol(_) => Hangup::Broken(CloseCode::Protocol),
        _ => Hangup::Gone,
    }
}

impl Outgoing {
    /// Sends a message and waits until the socket has taken it.
    pub async fn say(&self, json: Bytes) -> Result<(), Gone> {
        self.send(Message::Text(Utf8Bytes::try_from(json).map_err(|_| Gone)?)).await
    }

    pub async fn ping(&self) -> Result<(), Gone> {
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&self, message: Message) -> Result<(), Gone> {
        self.0.lock().await.send(message).await.map_err(|_| Gone)
    }
}

impl WebSocket {
    /// Says goodbye, after `last` if there is such a message, and waits a moment for the client to hear it.
    pub async fn close(self, last: Option<Bytes>, code: CloseCode, reason: &'static str) {
        let Self { incoming, outgoing } = self;
        let goodbye = async {
            if let Some(last) = last {
                let _ = outgoing.say(last).await;
            }
            let mut sink = outgoing.0.into_inner();
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            // A client that has said goodbye first has its answer by the flush.
            let _ = sink.send(Message::Close(Some(frame))).await;
            let _ = sink.close().await;
            if let Ok(stream) = sink.reunite(incoming.0) {
                hear_out(stream.into_inner()).await;
            }
        };
        let _ = timeout(LAST_WORDS, goodbye).await;
    }
}

/// Takes what is still on its way. A connection that is closed with bytes unread is reset, and then a client may never
/// see the last messages.
async fn hear_out(mut socket: TokioIo<Upgraded>) {
    let mut buffer = vec![0; READ_BUFFER];
    if socket.shutdown().await.is_ok() {
        while socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    }
}
