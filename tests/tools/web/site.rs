//! A web server of a test, and a listener that tells whether anything was connected to it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a site does with a request.
pub enum Reply {
    /// Sends this and closes.
    Bytes(Vec<u8>),
    /// Sends this and then nothing, and keeps the connection.
    Stalled(Vec<u8>),
    /// Sends the first and then the second again and again, until nobody takes it.
    Endless(Vec<u8>, Vec<u8>),
}

/// An answer with a body.
pub fn ok(content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    with("200 OK", &format!("content-type: {content_type}\r\n"), body)
}

pub fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    Reply::Bytes([head.as_bytes(), body].concat())
}

pub fn redirect(to: &str) -> Reply {
    with("302 Found", &format!("location: {to}\r\nset-cookie: secret=1\r\n"), "")
}

type Answer = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

pub struct Site {
    pub port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    /// Bytes of endless answers that were taken, once nobody takes more.
    taken: watch::Receiver<Option<usize>>,
    _tasks: JoinSet<()>,
}

impl Site {
    /// Serves at some port of all these addresses. `answer` gets the path of each request.
    pub async fn at(ips: &[&str], answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let answer: Answer = Arc::new(answer);
        let heads = Arc::default();
        let (tell, taken) = watch::channel(None);
        let tell = Arc::new(tell);
        let mut tasks = JoinSet::new();
        let listeners = listeners(ips);
        let port = listeners[0].local_addr().unwrap().port();
        for listener in listeners {
            let listener = TcpListener::from_std(listener).unwrap();
            let (answer, heads, tell) = (Arc::clone(&answer), Arc::clone(&heads), Arc::clone(&tell));
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let (answer, heads, tell) = (Arc::clone(&answer), Arc::clone(&heads), Arc::clone(&tell));
                    connections.spawn(async move {
                        // A client that goes away in the middle is what some tests are about.
                        let _ = serve(stream, &answer, &heads, &tell).await;
                    });
                }
            });
        }
        Self { port, heads, taken, _tasks: tasks }
    }

    /// At 127.0.0.1.
    pub async fn new(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::at(&["127.0.0.1"], answer).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests so far, without their bodies.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The first line of each request so far.
    pub fn lines(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }

    /// Waits until an endless answer is not taken any more, and says how much of it was.
    pub async fn taken(&mut self) -> usize {
        self.taken.wait_for(Option::is_some).await.unwrap().unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &Answer,
    heads: &Mutex<Vec<String>>,
    tell: &watch::Sender<Option<usize>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let mut head = String::from_utf8(head).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|length| length.parse().unwrap());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    head.push_str(&String::from_utf8(body).unwrap());
    let path = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    match answer(&path) {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Stalled(bytes) => {
            stream.write_all(&bytes).await?;
            stream.read_u8().await.map(drop)
        }
        Reply::Endless(first, more) => {
            stream.write_all(&first).await?;
            let mut taken = first.len();
            while stream.write_all(&more).await.is_ok() {
                taken += more.len();
            }
            tell.send_replace(Some(taken));
            Ok(())
        }
    }
}

/// Listeners at the same free port of some addresses.
fn listeners(ips: &[&str]) -> Vec<std::net::TcpListener> {
    let bind = |ip: &str, port| {
        let listener = std::net::TcpListener::bind(SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port))?;
        listener.set_nonblocking(true)?;
        io::Result::Ok(listener)
    };
    for _ in 0..100 {
        let first = bind(ips[0], 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let others = ips[1..].iter().map(|ip| bind(ip, port)).collect::<io::Result<Vec<_>>>();
        // Another process may have the port at another address.
        if let Ok(others) = others {
            return std::iter::once(first).chain(others).collect();
        }
    }
    panic!("no port is free at all of {ips:?}");
}

/// Listens and answers nothing. The kernel makes the connections, so that after a call all that it made are there.
pub struct Trap(Vec<std::net::TcpListener>);

impl Trap {
    pub fn at(ips: &[&str]) -> Self {
        Self(listeners(ips))
    }

    pub fn port(&self) -> u16 {
        self.0[0].local_addr().unwrap().port()
    }

    /// How many connections were made since it was last asked.
    pub fn caught(&self) -> usize {
        let caught = |listener: &std::net::TcpListener| std::iter::from_fn(|| listener.accept().ok()).count();
        self.0.iter().map(caught).sum()
    }
}
