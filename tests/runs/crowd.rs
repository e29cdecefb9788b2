//! Many runs at once.

use crate::client::{Client, stream, text};
use crate::upstream::{Act, Request, Server, accepted, calls, data, end, pause, says, turn};
use crate::{Settings, ask, daemon};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn two_runs_do_not_hold_each_other_up() {
    let upstream = Server::directed(|_, request: &Request| match request.last() {
        "wait" => vec![accepted(), says("First"), Act::Wait, says(" and last."), data("[DONE]"), end()],
        _ => turn([says("Between.")], "stop"),
    })
    .await;
    let daemon = daemon(&upstream, &Settings::default());
    let mut waiting = Client::post(&daemon, &ask("wait")).await;
    waiting.head().await;
    waiting.frame_with("First").await;
    // The same client, the same conversation, the same upstream.
    assert_eq!(text(&stream(&daemon, &ask("go")).await), "Between.");
    upstream.go();
    assert_eq!(text(&waiting.rest().await), " and last.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_come_out_right() {
    const PIECES: usize = 20;
    let piece = |question: &str, number: usize| format!("{question}/{number} ");
    let upstream = Server::directed(move |_, request: &Request| {
        let question = request.last().to_owned();
        let pieces = (0..PIECES).flat_map(|number| [pause(5), says(&piece(&question, number))]);
        turn(pieces.collect::<Vec<_>>(), "stop")
    })
    .await;
    let daemon = Arc::new(daemon(&upstream, &Settings::default()));
    let mut streams = JoinSet::new();
    for number in 0..200 {
        let daemon = Arc::clone(&daemon);
        streams.spawn(async move {
            let question = format!("question {number}");
            let frames = stream(&daemon, &ask(&question)).await;
            (question, frames)
        });
    }
    while let Some(done) = streams.join_next().await {
        let (question, frames) = done.unwrap();
        let expected: String = (0..PIECES).map(|number| piece(&question, number)).collect();
        assert_eq!((text(&frames), frames.len()), (expected, PIECES + 3), "{frames:?}");
        assert_eq!(frames.last().map(String::as_str), Some("data: [DONE]\n\n"));
    }
    assert_eq!(upstream.count(), 200);
}

/// Each step's tools run side by side: one after the other they would take far longer than the test waits.
#[tokio::test]
async fn the_tools_of_a_step_run_side_by_side() {
    let upstream = Server::directed(|_, request: &Request| {
        if request.body["messages"].as_array().unwrap().len() > 1 {
            return turn([says("All done.")], "stop");
        }
        // Each waits for the file that the next one makes.
        let command = |number: usize| json!({"command": format!("touch {number}; until [ -e {} ]; do sleep 0.05; done", (number + 1) % 4)});
        turn((0..4).map(|number| calls(number, &format!("c{number}"), "terminal", &command(number))), "tool_calls")
    })
    .await;
    let daemon = daemon(&upstream, &Settings::default());
    assert_eq!(text(&stream(&daemon, &ask("go")).await), "All done.");
    let outputs = upstream.requests()[1].body["messages"].to_string();
    assert_eq!(outputs.matches("[exit code 0]").count(), 4, "{outputs}");
}
