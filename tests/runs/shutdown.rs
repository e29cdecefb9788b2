//! The end of the daemon: in order, in a hurry, and by force.

use crate::client::{Client, PATIENCE};
use crate::processes::Stubborn;
use crate::support::Daemon;
use crate::upstream::{Act, Request, Server, accepted, calls, data, end, says, turn};
use crate::{Settings, ask, daemon, with};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// An upstream that begins an answer and waits, floods, or has a command run, as the question says.
async fn upstream() -> Server {
    Server::directed(|_, request: &Request| match request.last() {
        "tell" => vec![accepted(), says("Once"), Act::Wait, says(" upon"), data("[DONE]"), end()],
        "flood" => {
            let Act::Send(delta) = says(&"x".repeat(1000)) else { unreachable!() };
            vec![accepted(), Act::Flood(delta, 100_000)]
        }
        arguments => {
            let call = calls(0, "c", "terminal", &serde_json::from_str(arguments).unwrap());
            turn([call], "tool_calls")
        }
    })
    .await
}

/// Waits for the daemon to end, and says with which code.
async fn exit_code(mut daemon: Daemon, within: Duration) -> Option<i32> {
    let begun = Instant::now();
    while !daemon.has_ended() {
        assert!(begun.elapsed() < within, "the daemon goes on: {}", daemon.log());
        sleep(Duration::from_millis(10)).await;
    }
    daemon.ended().code()
}

/// Status and body of an answer that is no stream.
async fn told(mut client: Client) -> (u16, Value) {
    let head = client.head().await;
    (head.status, client.json(&head).await)
}

async fn draining(daemon: &Daemon) {
    let begun = Instant::now();
    while told(Client::get(daemon, "/health").await).await.0 == 200 {
        assert!(begun.elapsed() < PATIENCE, "the daemon does not hear the signal");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A stream that has begun.
async fn begun(daemon: &Daemon, question: &str) -> Client {
    let mut client = Client::post(daemon, &ask(question)).await;
    client.head().await;
    client.frame().await;
    client
}

fn code(frame: Option<&String>) -> Value {
    let mut error: Value = serde_json::from_str(frame.unwrap().strip_prefix("data: ").unwrap()).unwrap();
    error["error"]["code"].take()
}

#[tokio::test]
async fn a_run_may_finish_while_new_ones_are_refused() {
    for signal in [Signal::TERM, Signal::INT] {
        let upstream = upstream().await;
        let daemon = daemon(&upstream, &Settings::default());
        let mut client = begun(&daemon, "tell").await;
        client.frame_with("Once").await;
        daemon.signal(signal);
        draining(&daemon).await;
        let version = env!("CARGO_PKG_VERSION");
        let health = told(Client::get(&daemon, "/health").await).await;
        assert_eq!(health, (503, json!({"status": "draining", "version": version})));
        for stream in [true, false] {
            let (status, body) = told(Client::post(&daemon, &with(ask("tell"), json!({"stream": stream}))).await).await;
            assert_eq!((status, body["error"]["code"].as_str()), (503, Some("shutting_down")));
        }
        upstream.go();
        let rest = client.rest().await;
        assert!(rest[0].contains(" upon") && rest.last().unwrap().contains("[DONE]"), "{rest:?}");
        assert_eq!((exit_code(daemon, PATIENCE).await, upstream.count()), (Some(0), 1));
    }
}

#[tokio::test]
async fn beyond_the_grace_every_run_is_told_why_it_ends() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "shutdown_grace: 500ms", ..Settings::default() });
    let mut telling = begun(&daemon, "tell").await;
    let whole = Client::post(&daemon, &with(ask("tell"), json!({"stream": false}))).await;
    let mut unread = begun(&daemon, "flood").await;
    let tool = Stubborn::new();
    let mut working = begun(&daemon, &tool.arguments().to_string()).await;
    tool.up().await;
    daemon.signal(Signal::TERM);
    let rest = telling.rest().await;
    assert_eq!(code(rest.last()), "shutting_down", "{rest:?}");
    let (status, body) = told(whole).await;
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("shutting_down")));
    assert_eq!(code(unread.rest().await.last()), "shutting_down");
    // What clients do not repeat, because the tool has changed something.
    assert_eq!(code(working.rest().await.last()), "invalid_prompt");
    tool.gone().await;
    upstream.hung_up(0).await;
    assert_eq!(exit_code(daemon, PATIENCE).await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "shutdown_grace: 1h", ..Settings::default() });
    let mut telling = begun(&daemon, "tell").await;
    let _unread = begun(&daemon, "flood").await;
    crate::slow::stuck(&upstream).await;
    let tool = Stubborn::new();
    let _working = begun(&daemon, &tool.arguments().to_string()).await;
    tool.up().await;
    daemon.signal(Signal::TERM);
    draining(&daemon).await;
    daemon.signal(Signal::TERM);
    assert_eq!(code(telling.rest().await.last()), "shutting_down");
    tool.gone().await;
    assert_eq!(exit_code(daemon, Duration::from_secs(2)).await, Some(0));
}

#[tokio::test]
async fn connections_without_a_request_hold_nothing_up() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let mut fresh = TcpStream::connect(daemon.address()).await.unwrap();
    let mut kept = Client::get(&daemon, "/health").await;
    let head = kept.head().await;
    kept.json(&head).await;
    daemon.signal(Signal::TERM);
    assert_eq!(exit_code(daemon, Duration::from_secs(2)).await, Some(0));
    assert!(kept.closed().await);
    assert_eq!(fresh.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_killed_daemon_leaves_no_process_behind() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let tools = [Stubborn::new(), Stubborn::new()];
    for tool in &tools {
        let _client = begun(&daemon, &tool.arguments().to_string()).await;
        tool.up().await;
        std::mem::forget(_client);
    }
    daemon.signal(Signal::KILL);
    for tool in &tools {
        tool.gone().await;
    }
}

#[tokio::test]
async fn systemd_hears_of_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut buffer = [0; 256];
        let read = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap().trim().to_owned()
    };
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let daemon = Daemon::with_environment(crate::support::REHEARSAL, &environment);
    assert_eq!([hear(), hear(), hear()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    daemon.signal(Signal::TERM);
    let last = loop {
        match hear() {
            beat if beat == "WATCHDOG=1" => {}
            other => break other,
        }
    };
    assert_eq!(last, "STOPPING=1");
    assert_eq!(exit_code(daemon, PATIENCE).await, Some(0));
}
