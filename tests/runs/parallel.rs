//! Many calls of one step.

use crate::client::{Client, stream};
use crate::upstream::{Act, Request, Server, calls, turn};
use crate::{Settings, ask, daemon};
use serde_json::{Value, json};

/// An upstream whose model makes these calls, and is done when it has their outputs.
async fn upstream(tool: &'static str, arguments: Value, count: usize) -> Server {
    Server::directed(move |number, _: &Request| match number {
        0 => turn((0..count).map(|n| calls(n, &format!("c{n}"), tool, &arguments)).collect::<Vec<Act>>(), "tool_calls"),
        _ => crate::upstream::stream("Done."),
    })
    .await
}

fn outputs(request: &Request) -> Vec<String> {
    let messages = request.body["messages"].as_array().unwrap().iter();
    let outputs = messages.filter(|message| message["role"] == "tool");
    outputs.map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn calls_of_a_run_take_turns() {
    let command = json!({"command": "echo + >> log; sleep 0.2; echo - >> log"});
    let upstream = upstream("terminal", command, 12).await;
    let folder = tempfile::tempdir().unwrap();
    let profile = format!("workspace: '{}'", folder.path().display());
    let daemon = daemon(&upstream, &Settings { profile: &profile, ..Settings::default() });
    stream(&daemon, &ask("go")).await;
    assert_eq!(outputs(&upstream.requests()[1]), ["[no output]\n[exit code 0]"; 12]);

    let (mut running, mut most, mut begun) = (0, 0, 0);
    for line in std::fs::read_to_string(folder.path().join("log")).unwrap().lines() {
        let begins = line == "+";
        running += if begins { 1 } else { -1 };
        begun += i32::from(begins);
        most = most.max(running);
    }
    assert!((2..=8).contains(&most), "{most} at once");
    assert_eq!((begun, running), (12, 0));
}

#[tokio::test]
async fn more_calls_than_anyone_needs_are_turned_down() {
    let upstream = upstream("list_files", json!({}), 70).await;
    let daemon = daemon(&upstream, &Settings::default());
    let mut client = Client::post(&daemon, &ask("go")).await;
    assert_eq!(client.head().await.status, 200);
    client.rest().await;
    let outputs = outputs(&upstream.requests()[1]);
    assert_eq!(outputs[..64], vec!["[empty folder]"; 64]);
    assert_eq!(
        outputs[64..],
        vec!["Not run: at most 64 calls are taken at once. Make it again when these have ended."; 6]
    );
}
