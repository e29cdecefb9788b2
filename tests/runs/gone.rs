//! The client is gone, in every way and at every time: the run ends within a second, down to the upstream's socket and
//! the last process of its tools.

use crate::client::Client;
use crate::processes::Stubborn;
use crate::support::Daemon;
use crate::upstream::{Act, Request, Server, accepted, calls, says, turn, whole};
use crate::{Settings, ask, daemon, with};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const WITHIN: Duration = Duration::from_secs(1);

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Close,
    Reset,
    /// It sends no more and would still read, which no client means: it is how some proxies pass a close on.
    HalfClose,
}

const WAYS: [Way; 3] = [Way::Close, Way::Reset, Way::HalfClose];

impl Way {
    /// The client, if there is anything left of it, is to be held until the end of the test.
    async fn go(self, mut client: Client) -> (Option<Client>, Instant) {
        match self {
            Self::Close => drop(client),
            Self::Reset => client.reset(),
            Self::HalfClose => {
                client.socket.shutdown().await.unwrap();
                return (Some(client), Instant::now());
            }
        }
        (None, Instant::now())
    }
}

/// Requests for a stream and for none.
fn both_forms(question: &str) -> [Value; 2] {
    [true, false].map(|stream| with(ask(question), json!({"stream": stream})))
}

/// An upstream that does what the question says.
async fn upstream() -> Server {
    Server::directed(|_, request: &Request| match request.last() {
        "be silent" => vec![Act::Hold],
        "say something" => vec![accepted(), says("Once upon"), Act::Hold],
        "never stop" => vec![accepted(), flood()],
        // Asked for its models, for the health of it all.
        "" => whole("404 Not Found", "", ""),
        arguments => {
            let call = calls(0, "c", "terminal", &serde_json::from_str(arguments).unwrap());
            turn([says("I run it."), call], "tool_calls")
        }
    })
    .await
}

fn flood() -> Act {
    let Act::Send(delta) = says("and on") else { unreachable!() };
    Act::Flood(delta, usize::MAX)
}

/// Waits until nothing runs.
async fn idle(daemon: &Daemon) {
    let begun = Instant::now();
    loop {
        let mut client = Client::get(daemon, "/health/detailed").await;
        let head = client.head().await;
        if client.json(&head).await["runs_in_flight"] == 0 {
            return;
        }
        assert!(begun.elapsed() < WITHIN, "the run goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn while_the_upstream_is_silent() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "header_wait: 1h", ..Settings::default() });
    for (number, (way, body)) in WAYS.iter().flat_map(|way| both_forms("be silent").map(|body| (way, body))).enumerate()
    {
        let client = Client::post(&daemon, &body).await;
        upstream.asked(number + 1).await;
        let (_client, went) = way.go(client).await;
        let took = upstream.hung_up(number).await - went;
        assert!(took < WITHIN, "{way:?}, {body}: {took:?}");
    }
    idle(&daemon).await;
}

#[tokio::test]
async fn in_mid_stream() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    for (number, way) in WAYS.iter().enumerate() {
        let mut client = Client::post(&daemon, &ask("say something")).await;
        client.head().await;
        client.frame_with("Once upon").await;
        let (_client, went) = way.go(client).await;
        let took = upstream.hung_up(number).await - went;
        assert!(took < WITHIN, "{way:?}: {took:?}");
    }
    idle(&daemon).await;
}

#[tokio::test]
async fn while_deltas_pour_in() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    for (number, (way, body)) in
        WAYS.iter().flat_map(|way| both_forms("never stop").map(|body| (way, body))).enumerate()
    {
        let mut client = Client::post(&daemon, &body).await;
        upstream.asked(number + 1).await;
        if body["stream"] == true {
            client.head().await;
            for _ in 0..100 {
                client.frame().await;
            }
        }
        let (_client, went) = way.go(client).await;
        let took = upstream.hung_up(number).await - went;
        assert!(took < WITHIN, "{way:?}, {body}: {took:?}");
    }
    idle(&daemon).await;
}

#[tokio::test]
async fn while_a_tool_runs() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    for way in WAYS {
        let tool = Stubborn::new();
        for body in both_forms(&tool.arguments().to_string()) {
            let client = Client::post(&daemon, &body).await;
            tool.up().await;
            let _client = way.go(client).await;
            tool.gone().await;
        }
    }
    idle(&daemon).await;
}

/// A client whose request is followed by more bytes: a line end that old ones send, or the next request.
#[tokio::test]
async fn after_it_has_sent_more_than_its_request() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "header_wait: 1h", ..Settings::default() });
    let more = ["\r\n".to_owned(), "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), "x".repeat(1 << 16)];
    for (number, more) in more.iter().enumerate() {
        let mut client = Client::post(&daemon, &ask("be silent")).await;
        upstream.asked(number + 1).await;
        // Not all of it may be taken.
        let _ = tokio::time::timeout(Duration::from_millis(300), client.socket.write_all(more.as_bytes())).await;
        let (_client, went) = Way::Close.go(client).await;
        let took = upstream.hung_up(number).await - went;
        assert!(took < WITHIN, "{} bytes more: {took:?}", more.len());
    }
    idle(&daemon).await;
}

/// A cancel through the API reaches as far as a client that leaves, also where none listens.
#[tokio::test]
async fn by_its_own_cancel_while_a_tool_runs() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let tool = Stubborn::new();
    let body = json!({"model": "nuncio", "input": tool.arguments().to_string(), "background": true});
    let mut client = Client::post_to(&daemon, "/v1/responses", &body).await;
    let head = client.head().await;
    let id = client.json(&head).await["id"].as_str().unwrap().to_owned();
    tool.up().await;
    let mut client = Client::post_to(&daemon, &format!("/v1/responses/{id}/cancel"), &json!({})).await;
    let head = client.head().await;
    let response = client.json(&head).await;
    tool.gone().await;
    let call = &response["output"][1];
    assert_eq!((&response["status"], &call["status"]), (&json!("cancelled"), &json!("failed")));
    idle(&daemon).await;
}
