//! A client on a raw socket: it sees every frame as it was written, and can hang up in every way there is.

use crate::support::Daemon;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here should take, so that a hang is a failure and not a wait.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    pub socket: TcpStream,
    received: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    headers: String,
}

impl Head {
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub async fn post(daemon: &Daemon, body: &Value) -> Self {
        Self::post_with(daemon, "", body).await
    }

    /// `headers` are whole lines.
    pub async fn post_with(daemon: &Daemon, headers: &str, body: &Value) -> Self {
        let (address, body) = (daemon.address(), body.to_string());
        let head =
            format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
        Self::send(daemon, &format!("{head}{headers}content-length: {}\r\n\r\n{body}", body.len())).await
    }

    pub async fn post_to(daemon: &Daemon, path: &str, body: &Value) -> Self {
        let (address, body) = (daemon.address(), body.to_string());
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
        Self::send(daemon, &format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await
    }

    pub async fn get(daemon: &Daemon, path: &str) -> Self {
        Self::send(daemon, &format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.address())).await
    }

    async fn send(daemon: &Daemon, request: &str) -> Self {
        let mut socket = TcpStream::connect(daemon.address()).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        Self { socket, received: Vec::new() }
    }

    pub async fn head(&mut self) -> Head {
        let end = self.until(b"\r\n\r\n").await;
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let (first, headers) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Head { status, headers: headers.to_owned() }
    }

    /// The next piece of a chunked body, which must be one whole frame; `None` at its end.
    pub async fn frame(&mut self) -> Option<String> {
        let end = self.until(b"\r\n").await;
        let size = std::str::from_utf8(&self.received[..end - 2]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        self.at_least(end + size + 2).await;
        let frame = String::from_utf8(self.received[end..end + size].to_vec()).unwrap();
        self.received.drain(..end + size + 2);
        if size == 0 {
            return None;
        }
        let whole = frame.ends_with("\n\n") && frame.matches("\n\n").count() == 1;
        assert!(whole, "not one frame: {frame:?}");
        Some(frame)
    }

    /// What one read gives.
    pub async fn packet(&mut self) -> String {
        assert_eq!(self.received, b"", "something came before");
        self.read().await;
        String::from_utf8(std::mem::take(&mut self.received)).unwrap()
    }

    /// Waits for a frame with this in it.
    pub async fn frame_with(&mut self, text: &str) -> String {
        loop {
            match self.frame().await {
                Some(frame) if frame.contains(text) => return frame,
                Some(_) => {}
                None => panic!("the stream ended without {text:?}"),
            }
        }
    }

    /// All frames to the end.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// The body of an answer that is no stream.
    pub async fn json(&mut self, head: &Head) -> Value {
        let length = head.get("content-length").unwrap_or_else(|| panic!("no length: {head:?}")).parse().unwrap();
        self.at_least(length).await;
        let body: Vec<u8> = self.received.drain(..length).collect();
        serde_json::from_slice(&body).unwrap()
    }

    /// Hangs up with a reset instead of an end of file.
    pub fn reset(self) {
        self.socket.set_zero_linger().unwrap();
    }

    /// Waits until nothing more comes, and says whether there was a proper end.
    pub async fn closed(&mut self) -> bool {
        timeout(PATIENCE, async {
            loop {
                match self.socket.read(&mut [0; 16 * 1024]).await {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        })
        .await
        .expect("the daemon does not close the connection")
    }

    /// Reads until these bytes have come, and says where they end.
    async fn until(&mut self, bytes: &[u8]) -> usize {
        loop {
            if let Some(at) = self.received.windows(bytes.len()).position(|window| window == bytes) {
                return at + bytes.len();
            }
            self.read().await;
        }
    }

    async fn at_least(&mut self, length: usize) {
        while self.received.len() < length {
            self.read().await;
        }
    }

    async fn read(&mut self) {
        self.received.reserve(64 * 1024);
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.received)).await.expect("the daemon is silent");
        let read = read.expect("the connection was reset");
        assert!(read > 0, "the connection was closed after {:?}", String::from_utf8_lossy(&self.received));
    }
}

/// The whole stream that answers a request.
pub async fn stream(daemon: &Daemon, body: &Value) -> Vec<String> {
    let mut client = Client::post(daemon, body).await;
    let head = client.head().await;
    assert_eq!((head.status, head.get("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    client.rest().await
}

/// An answer that is no stream.
pub async fn answer(daemon: &Daemon, body: &Value) -> (Head, Value) {
    let mut client = Client::post(daemon, body).await;
    let head = client.head().await;
    let body = client.json(&head).await;
    (head, body)
}

/// The text that a stream's frames add up to.
pub fn text(frames: &[String]) -> String {
    let deltas = frames.iter().filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok());
    deltas.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}
