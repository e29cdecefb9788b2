//! A server on a raw socket that answers the n-th request with the n-th script, byte for byte.

use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server does next with a connection. A script without `Close` leaves it open for the next request.
#[derive(Clone)]
pub enum Act {
    Send(Vec<u8>),
    Pause(Duration),
    /// Says nothing more, and waits until the other side hangs up.
    Hold,
    Close,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first line and the headers, in lower case.
    pub head: String,
    pub body: Value,
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    hung_up: AtomicUsize,
    written: AtomicUsize,
}

/// Gone when dropped, with all its connections.
pub struct Server {
    pub base_url: String,
    log: Arc<Log>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub async fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (log, scripts) = (Arc::new(Log::default()), Arc::new(scripts));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&log);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(socket, Arc::clone(&shared), Arc::clone(&scripts)));
            }
        });
        Self { base_url, log, _tasks: tasks }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap().clone()
    }

    /// How many requests have come in.
    pub fn count(&self) -> usize {
        self.requests().len()
    }

    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of `Send` acts the other side's buffers have taken.
    pub fn written(&self) -> usize {
        self.log.written.load(Ordering::SeqCst)
    }

    /// Waits until a held connection has been closed by the other side.
    pub async fn hung_up(&self) -> bool {
        for _ in 0..200 {
            if self.log.hung_up.load(Ordering::SeqCst) > 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

async fn serve(mut socket: TcpStream, log: Arc<Log>, scripts: Arc<Vec<Vec<Act>>>) {
    while let Some(request) = read_request(&mut socket).await {
        let number = {
            let mut requests = log.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let unexpected = vec![Act::Send(b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n".to_vec())];
        for act in scripts.get(number).unwrap_or(&unexpected) {
            match act {
                Act::Send(bytes) => {
                    for piece in bytes.chunks(16 * 1024) {
                        if socket.write_all(piece).await.is_err() {
                            return;
                        }
                        log.written.fetch_add(piece.len(), Ordering::SeqCst);
                    }
                }
                Act::Pause(time) => tokio::time::sleep(*time).await,
                Act::Hold => {
                    // An end of file and a reset are both a hang-up.
                    while socket.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                    log.hung_up.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                Act::Close => return,
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        while bytes.len() < end + 4 + length {
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        return Some(Request { head, body: serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default() });
    }
}

/// The head of an accepted stream.
pub fn accepted() -> Act {
    send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
}

/// One HTTP chunk.
pub fn chunk(bytes: &str) -> Act {
    send(&format!("{:x}\r\n{bytes}\r\n", bytes.len()))
}

/// One HTTP chunk with one event.
pub fn data(payload: &str) -> Act {
    chunk(&format!("data: {payload}\n\n"))
}

/// An event whose first choice is this.
pub fn choice(choice: &str) -> Act {
    data(&format!(r#"{{"id":"c","object":"chat.completion.chunk","choices":[{choice}]}}"#))
}

pub fn says(words: &str) -> Act {
    choice(&format!(r#"{{"index":0,"delta":{{"content":"{words}"}},"finish_reason":null}}"#))
}

pub fn finishes(reason: &str) -> Act {
    choice(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}"#))
}

/// The last HTTP chunk.
pub fn end() -> Act {
    send("0\r\n\r\n")
}

/// A whole stream that says this and stops.
pub fn stream(words: &str) -> Vec<Act> {
    vec![accepted(), says(words), finishes("stop"), data("[DONE]"), end()]
}

/// A whole answer with a body of a known length.
pub fn whole(status: &str, headers: &str, body: &str) -> Vec<Act> {
    vec![send(&format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))]
}

pub fn send(bytes: &str) -> Act {
    Act::Send(bytes.as_bytes().to_vec())
}

pub fn pause(milliseconds: u64) -> Act {
    Act::Pause(Duration::from_millis(milliseconds))
}
