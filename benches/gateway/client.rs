//! The load: connections that ask and read to the end.

use super::answer::TOKEN;
use super::target::Ask;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Read {
    /// Until the first piece of text.
    pub first: Duration,
    pub whole: Duration,
    /// When a piece of text was read, and how long after the one before it, from the second on.
    pub gaps: Vec<(Instant, Duration)>,
    /// How many pieces of text there were.
    pub tokens: usize,
    pub body: Vec<u8>,
}

/// What of an answer is wanted besides its times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    Gaps,
    Body,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
        tokio::spawn(connection);
        Ok(Self { sender, address })
    }

    async fn send(&mut self, ask: &Ask) -> Result<Response<Incoming>> {
        if self.sender.ready().await.is_err() {
            *self = Self::open(self.address).await?;
            self.sender.ready().await?;
        }
        let method = if ask.body.is_empty() { Method::GET } else { Method::POST };
        let mut request = Request::builder().method(method).uri(&ask.path).header(header::HOST, "localhost");
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &ask.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        Ok(self.sender.send_request(request.body(Full::new(ask.body.clone()))?).await?)
    }

    /// Asks, and leaves with the first piece of text.
    pub async fn first(mut self, ask: &Ask) -> Result<Duration> {
        let begun = Instant::now();
        let mut body = self.send(ask).await?.into_body();
        while let Some(frame) = body.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            if memmem::find(&data, TOKEN.as_bytes()).is_some() {
                return Ok(begun.elapsed());
            }
        }
        anyhow::bail!("{} ended without a word of text", ask.path)
    }

    pub async fn ask(&mut self, ask: &Ask, keep: Keep) -> Result<Read> {
        let begun = Instant::now();
        let response = self.send(ask).await?;
        let status = response.status();
        let mut body = response.into_body();
        let (mut read, mut last) = (Read::default(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let tokens = memmem::find_iter(&data, TOKEN).count();
            if tokens > 0 && read.tokens == 0 {
                read.first = begun.elapsed();
            }
            if tokens > 0 && keep == Keep::Gaps {
                let now = Instant::now();
                read.gaps.extend(last.replace(now).map(|last| (now, now - last)));
            }
            read.tokens += tokens;
            if keep == Keep::Body || !status.is_success() {
                read.body.extend_from_slice(&data);
            }
        }
        ensure!(status.is_success(), "{} answered {status}: {}", ask.path, String::from_utf8_lossy(&read.body));
        read.whole = begun.elapsed();
        Ok(read)
    }
}

/// What a crowd of connections has read in some time.
#[derive(Debug, Default)]
pub struct Crowd {
    pub reads: Vec<(Duration, Duration)>,
    pub time: Duration,
}

/// Asks over so many connections at once, each again and again, for so long.
pub async fn crowd(address: SocketAddr, ask: &Ask, connections: usize, time: Duration) -> Result<Crowd> {
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let (ask, mut connection) = (ask.clone(), Connection::open(address).await?);
        clients.spawn(async move {
            let (mut reads, begun) = (Vec::new(), Instant::now());
            while begun.elapsed() < time || reads.is_empty() {
                let read = connection.ask(&ask, Keep::Nothing).await?;
                ensure!(read.tokens > 0, "an answer without a word of text");
                reads.push((read.first, read.whole));
            }
            Ok(reads)
        });
    }
    let begun = Instant::now();
    let mut crowd = Crowd::default();
    while let Some(reads) = clients.join_next().await {
        crowd.reads.extend(reads??);
    }
    crowd.time = begun.elapsed();
    Ok(crowd)
}
