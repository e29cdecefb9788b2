//! A client that takes nothing: it costs the daemon little, its upstream is not read on, and in the end it loses its run
//! and its connection, all of which no other run feels.

use crate::client::{Client, PATIENCE, text};
use crate::support::Daemon;
use crate::upstream::{Act, Request, Server, accepted, end, finishes, says, stream};
use crate::{Settings, ask, daemon};
use std::time::{Duration, Instant};

/// What the upstream has to say.
const FLOOD: usize = 200 << 20;

/// What the sockets' buffers on the way may take of it: four, of at most 6 MiB each as the kernel has it.
const BUFFERS: usize = 32 << 20;

/// What the daemon may grow by, its own buffers and the allocator's leftovers.
const GROWTH: usize = 16 << 20;

/// An upstream that floods who asks for it, and answers all others.
async fn upstream() -> Server {
    Server::directed(|_, request: &Request| {
        if request.last() != "flood" {
            return stream("Hello.");
        }
        let Act::Send(delta) = says(&"x".repeat(1000)) else { unreachable!() };
        let times = FLOOD / delta.len();
        vec![accepted(), Act::Flood(delta, times), finishes("stop"), end()]
    })
    .await
}

/// Bytes of memory the daemon uses.
fn memory(daemon: &Daemon) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Waits until the upstream can write no more, and says how much it could.
pub async fn stuck(upstream: &Server) -> usize {
    let mut written = upstream.written();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        match upstream.written() {
            same if same == written => return written,
            more => written = more,
        }
        assert!(written < FLOOD, "all of it was taken");
    }
}

#[tokio::test]
async fn holds_up_its_own_upstream_and_nothing_else() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    // The first run of all makes what all others share.
    crate::client::stream(&daemon, &ask("Hi")).await;
    let before = memory(&daemon);
    let mut slow = Client::post(&daemon, &ask("flood")).await;
    slow.head().await;
    let written = stuck(&upstream).await;
    let grown = memory(&daemon).saturating_sub(before);
    assert!(written < BUFFERS && grown < GROWTH, "{written} bytes taken, {grown} bytes grown");
    assert_eq!(text(&crate::client::stream(&daemon, &ask("Hi")).await), "Hello.");

    // It may come back: nothing is lost.
    for _ in 0..10_000 {
        slow.frame().await;
    }
    assert!(upstream.written() > written);
}

#[tokio::test]
async fn loses_its_run_and_its_connection() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "slow_client_timeout: 1s", ..Settings::default() });
    let mut slow = Client::post(&daemon, &ask("flood")).await;
    slow.head().await;
    assert_eq!(connections(&daemon), 1);
    upstream.hung_up(0).await;
    no_connections(&daemon).await;
}

/// Waits until the daemon has no connection of a client any more.
pub async fn no_connections(daemon: &Daemon) {
    let begun = Instant::now();
    while connections(daemon) > 0 {
        assert!(begun.elapsed() < PATIENCE, "the connection is still open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many connections of clients the daemon has.
fn connections(daemon: &Daemon) -> usize {
    let port: u16 = daemon.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    // The number, the local address, the other one, the state, of which 01 is "established".
    let established = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&format!(":{port:04X}")) && fields[3] == "01"
    };
    table.lines().skip(1).filter(established).count()
}
