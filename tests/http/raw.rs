//! HTTP/1.1 byte by byte, for requests that no client library would send.

use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any answer of these tests should take, so that a hang is a failure and not a wait.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In the order of the wire, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a header in lower case, split at commas and sorted.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.to_lowercase());
        let mut all: Vec<String> =
            values.flat_map(|value| value.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>()).collect();
        all.sort();
        all
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// A request: its head, one line each, and its body. Says how long the body is unless the head does.
pub fn request(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let lower = head.to_lowercase();
    let mut request = head.trim_end().replace('\n', "\r\n").into_bytes();
    if !body.is_empty() && !lower.contains("\ncontent-length:") && !lower.contains("\ntransfer-encoding:") {
        request.extend(format!("\r\nContent-Length: {}", body.len()).bytes());
    }
    request.extend(b"\r\n\r\n");
    request.extend(body);
    request
}

/// Like [`request`], with the `Host` that a client of this machine sends and the wish to close.
pub fn local(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request(&format!("{}\nHost: 127.0.0.1\nConnection: close", head.trim_end()), body)
}

/// Sends these bytes and reads until the daemon closes. All bytes must be taken, even if the answer comes before.
pub async fn exchange(address: &str, bytes: &[u8]) -> Vec<Answer> {
    exchange_and(address, bytes, false).await
}

/// Sends these bytes, says that no more will come, and reads the answer.
pub async fn ask_and_stop(address: &str, bytes: &[u8]) -> Answer {
    one(exchange_and(address, bytes, true).await)
}

/// The one answer to one request.
pub async fn ask(address: &str, bytes: &[u8]) -> Answer {
    one(exchange(address, bytes).await)
}

fn one(mut answers: Vec<Answer>) -> Answer {
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

async fn exchange_and(address: &str, bytes: &[u8], stop: bool) -> Vec<Answer> {
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let mut received = Vec::new();
    let send = async {
        writing.write_all(bytes).await.expect("the daemon hung up before it had read the request");
        if stop {
            writing.shutdown().await.unwrap();
        }
    };
    let both = async { tokio::join!(send, reading.read_to_end(&mut received)) };
    let ((), read) = timeout(PATIENCE, both).await.expect("the daemon neither answers nor closes");
    if let Err(error) = read {
        panic!("{error} after {:?}", String::from_utf8_lossy(&received));
    }
    let mut rest = received.as_slice();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let (answer, after) = parse(rest).unwrap_or_else(|| panic!("no HTTP: {:?}", String::from_utf8_lossy(rest)));
        answers.push(answer);
        rest = after;
    }
    answers
}

/// The first answer in these bytes and what comes after it; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.into())))
        .collect::<Option<_>>()?;
    let answer = Answer { status, headers, body: Vec::new() };
    let rest = &bytes[end + 4..];
    let (body, rest) = match answer.header("transfer-encoding") {
        Some(_) => unchunk(rest)?,
        None => {
            let length = answer.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
            (rest.get(..length)?.to_vec(), &rest[length..])
        }
    };
    Some((Answer { body, ..answer }, rest))
}

fn unchunk(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        let start = line + 2;
        body.extend(rest.get(start..start + size)?);
        rest = rest.get(start + size + 2..)?;
        if size == 0 {
            return Some((body, rest));
        }
    }
}
