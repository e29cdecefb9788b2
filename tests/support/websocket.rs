//! A WebSocket client on a raw socket.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use crate::support::Daemon;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything here should take, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Socket(pub WebSocketStream<TcpStream>);

impl Socket {
    pub async fn open(daemon: &Daemon) -> Self {
        Self::open_with(daemon, &[]).await
    }

    pub async fn open_with(daemon: &Daemon, headers: &[(&'static str, &str)]) -> Self {
        let (socket, answer) = knock(daemon, headers).await.unwrap();
        assert_eq!(answer.headers().get("sec-websocket-extensions"), None, "none that we could speak");
        Self(socket)
    }

    /// The status of the answer to one that is not let in.
    pub async fn refused(daemon: &Daemon) -> u16 {
        match knock(daemon, &[]).await {
            Err(Error::Http(answer)) => answer.status().as_u16(),
            other => panic!("let in: {other:?}"),
        }
    }

    pub async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        timeout(PATIENCE, self.0.send(message)).await.expect("the daemon takes nothing").unwrap();
    }

    /// The next message, whatever it is; `None` after the end.
    pub async fn next(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.0.next()).await.expect("the daemon says nothing").map(Result::unwrap)
    }

    /// The next JSON.
    pub async fn hear(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    /// What answers one message: events up to the last one, or an error.
    pub async fn answer(&mut self) -> Vec<Value> {
        let mut events = vec![self.hear().await];
        while !is_last(events.last().unwrap()) {
            events.push(self.hear().await);
        }
        events
    }

    pub async fn turn(&mut self, message: &Value) -> Vec<Value> {
        self.say(message).await;
        self.answer().await
    }

    /// The response that answers a message.
    pub async fn respond(&mut self, message: &Value) -> Value {
        let mut events = self.turn(message).await;
        let mut last = events.pop().unwrap();
        assert_ne!(last["type"], "error", "{last}");
        last["response"].take()
    }

    /// The error that answers a message, without what is the same for all.
    pub async fn refusal(&mut self, message: &Value) -> Value {
        let mut events = self.turn(message).await;
        let mut last = events.pop().unwrap();
        assert_eq!((events.len(), &last["type"]), (0, &Value::from("error")), "{events:?} {last}");
        last.as_object_mut().unwrap().shift_remove("type");
        last
    }

    /// Says goodbye and waits until the daemon has hung up.
    pub async fn leave(mut self) {
        self.send(Message::Close(None)).await;
        while self.next().await.is_some() {}
    }

    /// The code with which the daemon closes; nothing may come before that.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => {
                    assert_eq!(self.next().await, None);
                    return frame.code.into();
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("no goodbye: {other:?}"),
            }
        }
    }
}

async fn knock(
    daemon: &Daemon,
    headers: &[(&'static str, &str)],
) -> Result<(WebSocketStream<TcpStream>, Response), Error> {
    let url = format!("ws://{}/v1/responses", daemon.address());
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    let socket = TcpStream::connect(daemon.address()).await.unwrap();
    timeout(PATIENCE, client_async(request, socket)).await.expect("the daemon does not answer")
}

fn is_last(event: &Value) -> bool {
    let kind = event["type"].as_str().unwrap();
    ["response.completed", "response.incomplete", "response.failed", "error"].contains(&kind)
}

/// A `response.create` that says this.
pub fn create(input: &str) -> Value {
    serde_json::json!({"type": "response.create", "model": "nuncio", "input": input})
}

/// `message` with one field changed.
pub fn with(mut message: Value, key: &str, value: impl Into<Value>) -> Value {
    message[key] = value.into();
    message
}
