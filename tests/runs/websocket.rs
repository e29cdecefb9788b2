//! Turns on a WebSocket, against an upstream that waits for the test: which are taken, which are held up, and which end.

use crate::processes::Stubborn;
use crate::slow::{no_connections, stuck};
use crate::socket::{Socket, create, with};
use crate::upstream::{Act, Request, Server, accepted, calls, end, finishes, says, stream, turn};
use crate::{Settings, daemon};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An upstream that waits, floods, says what it is asked to, or has a command run, as the question wants it.
async fn upstream() -> Server {
    Server::directed(|_, request: &Request| match request.last() {
        "wait" => vec![accepted(), says("Once"), Act::Wait, says(" upon"), finishes("stop"), end()],
        "hold" => vec![accepted(), says("Once"), Act::Hold],
        "flood" => {
            let Act::Send(delta) = says(&"x".repeat(1000)) else { unreachable!() };
            vec![accepted(), Act::Flood(delta, 200_000)]
        }
        arguments if arguments.starts_with('{') => {
            turn([calls(0, "c", "terminal", &serde_json::from_str(arguments).unwrap())], "tool_calls")
        }
        words => stream(words),
    })
    .await
}

/// Begins a turn and reads its first words.
async fn begin(socket: &mut Socket, question: &str) {
    socket.say(&create(question)).await;
    while socket.hear().await["type"] != "response.output_text.delta" {}
}

fn text(events: &[Value]) -> &str {
    let done = events.iter().find(|event| event["type"] == "response.output_text.done");
    done.unwrap_or_else(|| panic!("{events:?}"))["text"].as_str().unwrap()
}

#[tokio::test]
async fn turns_are_taken_one_after_the_other_and_only_so_many_may_wait() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let mut socket = Socket::open(&daemon).await;
    begin(&mut socket, "wait").await;
    for number in 0..9 {
        socket.say(&with(create(&format!("Turn {number}")), "stream_id", format!("lane {number}"))).await;
    }
    // The ninth is one too many, and is told so at once.
    let message = "Up to 8 messages wait here for their turn: wait for the end of a response.";
    let error = json!({"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": message, "param": null});
    let refusal = json!({"type": "error", "status": 429, "error": error, "stream_id": "lane 8"});
    assert_eq!((socket.hear().await, upstream.count()), (refusal, 1));
    upstream.go();
    assert_eq!(text(&socket.answer().await), "Once upon");
    for number in 0..8 {
        assert_eq!(text(&socket.answer().await), format!("Turn {number}"));
    }
    assert_eq!(text(&socket.turn(&create("And on")).await), "And on");
}

#[tokio::test]
async fn what_is_too_large_together_does_not_wait_together() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "body_limit: 64KiB", ..Settings::default() });
    let mut socket = Socket::open(&daemon).await;
    begin(&mut socket, "wait").await;
    for number in 0..3 {
        socket.say(&with(create(&format!("Turn {number}")), "user", "x".repeat(30_000))).await;
    }
    assert_eq!(socket.hear().await["status"], 429);
    upstream.go();
    socket.answer().await;
    for number in 0..2 {
        assert_eq!(text(&socket.answer().await), format!("Turn {number}"));
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_turn_down_to_the_upstream_and_the_tools() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let tool = Stubborn::new();
    let (mut telling, mut working) = (Socket::open(&daemon).await, Socket::open(&daemon).await);
    begin(&mut telling, "hold").await;
    // What waits behind it never begins.
    telling.say(&create("Never")).await;
    working.say(&create(&tool.arguments().to_string())).await;
    tool.up().await;
    telling.0.close(None).await.unwrap();
    drop(working);
    upstream.hung_up(0).await;
    tool.gone().await;
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_its_own_upstream_and_loses_its_run_and_its_connection() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "slow_client_timeout: 3s", ..Settings::default() });
    let mut slow = Socket::open(&daemon).await;
    slow.say(&create("flood")).await;
    upstream.asked(1).await;
    // Of 200 MB no more than what the sockets' buffers take.
    let written = stuck(&upstream).await;
    assert!(written < 64 << 20, "{written} bytes taken");
    let mut other = Socket::open(&daemon).await;
    assert_eq!(text(&other.turn(&create("Hi")).await), "Hi");
    other.leave().await;
    upstream.hung_up(0).await;
    no_connections(&daemon).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_still_heard_to_leave() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "slow_client_timeout: 1h", ..Settings::default() });
    let mut slow = Socket::open(&daemon).await;
    slow.say(&create("flood")).await;
    upstream.asked(1).await;
    stuck(&upstream).await;
    slow.say(&json!({"type": "response.create"})).await;
    slow.send(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    upstream.hung_up(0).await;
}

#[tokio::test]
async fn after_its_time_a_connection_is_closed_but_a_turn_in_hand_ends() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { server: "websocket_time: 2s", ..Settings::default() });
    let message = "This connection has been open as long as one may (`server.websocket_time`): open a new one.";
    let error = json!({"type": "invalid_request_error", "code": "websocket_connection_limit_reached",
        "message": message, "param": null});
    let over = json!({"type": "error", "status": 400, "error": error});
    let mut busy = Socket::open(&daemon).await;
    begin(&mut busy, "wait").await;
    busy.say(&create("Never")).await;
    let mut idle = Socket::open(&daemon).await;
    assert_eq!((idle.hear().await, idle.closed().await), (over.clone(), 1001));
    // The other's time is over too, as it began before.
    upstream.go();
    assert_eq!(text(&busy.answer().await), "Once upon");
    assert_eq!((busy.hear().await, busy.closed().await), (over, 1001));
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_daemon_that_stops_closes_what_is_idle_and_lets_turns_end() {
    let upstream = upstream().await;
    let mut daemon = daemon(&upstream, &Settings::default());
    let (mut idle, mut busy) = (Socket::open(&daemon).await, Socket::open(&daemon).await);
    begin(&mut busy, "wait").await;
    busy.say(&create("Never")).await;
    daemon.signal(Signal::TERM);
    assert_eq!(idle.closed().await, 1001);
    assert_eq!(Socket::refused(&daemon).await, 503);
    upstream.go();
    assert_eq!(text(&busy.answer().await), "Once upon");
    let error = busy.hear().await;
    assert_eq!((&error["status"], &error["error"]["code"]), (&json!(503), &json!("shutting_down")));
    assert_eq!((busy.closed().await, daemon.ended().code()), (1001, Some(0)));
}

#[tokio::test]
async fn a_turn_beyond_the_grace_is_told_why_it_ends() {
    let upstream = upstream().await;
    let mut daemon = daemon(&upstream, &Settings { server: "shutdown_grace: 100ms", ..Settings::default() });
    let mut busy = Socket::open(&daemon).await;
    begin(&mut busy, "hold").await;
    let mut unread = Socket::open(&daemon).await;
    unread.say(&create("flood")).await;
    upstream.asked(2).await;
    daemon.signal(Signal::TERM);
    let events = busy.answer().await;
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["error"]["code"]),
        (&json!("response.failed"), &json!("server_error"))
    );
    assert_eq!((busy.closed().await, daemon.ended().code()), (1001, Some(0)));
}
