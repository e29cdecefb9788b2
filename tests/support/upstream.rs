//! A scripted upstream on a raw socket: it answers the n-th request with the n-th script, byte for byte, and knows when
//! the other side hung up.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longer than anything here should take, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server does next with a connection. A script without `Close` leaves it open for the next request.
#[derive(Clone)]
pub enum Act {
    Send(Vec<u8>),
    /// Sends the same bytes this many times.
    Flood(Vec<u8>, usize),
    Pause(Duration),
    /// Goes on at the next [`Server::go`].
    Wait,
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

impl Request {
    /// The text of the last message.
    pub fn last(&self) -> &str {
        self.body["messages"].as_array().and_then(|all| all.last()?["content"].as_str()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    /// When the other side hung up before the script of a request was through, by the number of the request.
    hang_ups: Mutex<Vec<(usize, Instant)>>,
    connections: AtomicUsize,
    written: AtomicUsize,
}

type Director = dyn Fn(usize, &Request) -> Vec<Act> + Send + Sync;

/// Gone when dropped, with all its connections.
pub struct Server {
    pub base_url: String,
    log: Arc<Log>,
    turns: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub async fn start(scripts: Vec<Vec<Act>>) -> Self {
        Self::directed(move |number, _| scripts.get(number).cloned().unwrap_or_else(unexpected)).await
    }

    /// A server whose script for a request, told its number from 0, is made when it comes in.
    pub async fn directed(director: impl Fn(usize, &Request) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (log, turns) = (Arc::new(Log::default()), Arc::new(Semaphore::new(0)));
        let director: Arc<Director> = Arc::new(director);
        let mut tasks = JoinSet::new();
        let (shared, gate) = (Arc::clone(&log), Arc::clone(&turns));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let connection = Connection::new(socket, Arc::clone(&shared), Arc::clone(&gate));
                connections.spawn(connection.serve(Arc::clone(&director)));
            }
        });
        Self { base_url, log, turns, _tasks: tasks }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap().clone()
    }

    /// How many requests have come in.
    pub fn count(&self) -> usize {
        self.log.requests.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of answers the other side's buffers have taken.
    pub fn written(&self) -> usize {
        self.log.written.load(Ordering::SeqCst)
    }

    /// Lets a script go on that stands at `Wait`, or will.
    pub fn go(&self) {
        self.turns.add_permits(1);
    }

    /// Waits until so many requests have come in.
    pub async fn asked(&self, count: usize) {
        self.until(&format!("{count} requests"), || (self.count() >= count).then_some(())).await;
    }

    /// Waits until the other side has hung up on the answer to this request.
    pub async fn hung_up(&self, number: usize) -> Instant {
        let found = || {
            let hang_ups = self.log.hang_ups.lock().unwrap();
            hang_ups.iter().find(|(of, _)| *of == number).map(|(_, at)| *at)
        };
        self.until(&format!("the hang-up on request {number}"), found).await
    }

    async fn until<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let waiting = async {
            loop {
                match found() {
                    Some(found) => break found,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("the upstream waits in vain for {what}"))
    }
}

fn unexpected() -> Vec<Act> {
    whole("418 I'm a teapot", "", "")
}

struct Connection {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    /// What has come in and belongs to no request yet.
    received: Vec<u8>,
    log: Arc<Log>,
    turns: Arc<Semaphore>,
}

impl Connection {
    fn new(socket: TcpStream, log: Arc<Log>, turns: Arc<Semaphore>) -> Self {
        socket.set_nodelay(true).unwrap();
        let (from, to) = socket.into_split();
        Self { from, to, received: Vec::new(), log, turns }
    }

    async fn serve(mut self, director: Arc<Director>) {
        while let Some(request) = self.request().await {
            let (number, script) = {
                let mut requests = self.log.requests.lock().unwrap();
                let script = director(requests.len(), &request);
                requests.push(request);
                (requests.len() - 1, script)
            };
            let Self { from, to, received, log, turns } = &mut self;
            let goes_on = tokio::select! {
                goes_on = play(script, to, log, turns) => goes_on,
                () = hang_up(from, received) => None,
            };
            match goes_on {
                Some(true) => {}
                Some(false) => return,
                None => return self.log.hang_ups.lock().unwrap().push((number, Instant::now())),
            }
        }
    }

    async fn request(&mut self) -> Option<Request> {
        loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.received[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
                if self.received.len() >= end + 4 + length {
                    let body = serde_json::from_slice(&self.received[end + 4..][..length]).unwrap_or_default();
                    self.received.drain(..end + 4 + length);
                    return Some(Request { head, body });
                }
            }
            if self.from.read_buf(&mut self.received).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// Says whether the connection stays open; `None` if the other side hung up.
async fn play(script: Vec<Act>, to: &mut OwnedWriteHalf, log: &Log, turns: &Semaphore) -> Option<bool> {
    for act in script {
        match act {
            Act::Send(bytes) => send_all(&bytes, to, log).await?,
            Act::Flood(bytes, times) => {
                for _ in 0..times {
                    send_all(&bytes, to, log).await?;
                }
            }
            Act::Pause(time) => tokio::time::sleep(time).await,
            Act::Wait => turns.acquire().await.unwrap().forget(),
            Act::Hold => std::future::pending().await,
            Act::Close => return Some(false),
        }
    }
    Some(true)
}

async fn send_all(bytes: &[u8], to: &mut OwnedWriteHalf, log: &Log) -> Option<()> {
    for piece in bytes.chunks(16 * 1024) {
        to.write_all(piece).await.ok()?;
        log.written.fetch_add(piece.len(), Ordering::SeqCst);
    }
    Some(())
}

/// Returns when the other side hangs up; an end of file and a reset are both that.
async fn hang_up(from: &mut OwnedReadHalf, received: &mut Vec<u8>) {
    while from.read_buf(received).await.is_ok_and(|read| read > 0) {}
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

/// An event whose delta is this.
pub fn delta(delta: &str) -> Act {
    choice(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#))
}

pub fn says(words: &str) -> Act {
    delta(&format!(r#"{{"content":"{words}"}}"#))
}

/// A whole tool call; `arguments` is a JSON text.
pub fn calls(index: usize, id: &str, name: &str, arguments: &Value) -> Act {
    let function = serde_json::json!({"name": name, "arguments": arguments.to_string()});
    delta(&format!(r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{function}}}]}}"#))
}

pub fn finishes(reason: &str) -> Act {
    choice(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}"#))
}

/// What counts this many tokens of the request and of the answer.
pub fn usage(input: u64, output: u64) -> Act {
    let usage =
        format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}"#, input + output);
    data(&format!(r#"{{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{usage}}}"#))
}

/// The last HTTP chunk.
pub fn end() -> Act {
    send("0\r\n\r\n")
}

/// A whole stream of these acts that ends with this reason.
pub fn turn(acts: impl IntoIterator<Item = Act>, reason: &str) -> Vec<Act> {
    let last = [finishes(reason), data("[DONE]"), end()];
    [accepted()].into_iter().chain(acts).chain(last).collect()
}

/// A whole stream that says this and stops.
pub fn stream(words: &str) -> Vec<Act> {
    turn([says(words)], "stop")
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
