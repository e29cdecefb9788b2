//! The pace of a stream: each piece leaves when it comes, and silence is filled with comments.

use crate::client::{Client, text};
use crate::upstream::{Act, Server, accepted, data, delta, end, pause, says, stream, turn};
use crate::{Settings, ask, daemon};
use serde_json::json;

const KEEPALIVE: &str = ": keepalive\n\n";

#[tokio::test]
async fn each_delta_leaves_in_one_write_before_the_next_one_comes() {
    let call = |call: &str| format!(r#"{{"tool_calls":[{{"index":0,{call}}}]}}"#);
    let name = r#""function":{"name":"weather","arguments":""}"#;
    let arguments = call(r#""function":{"arguments":"{}"}"#);
    // What the upstream sends, and what of it the client sees.
    let pieces = [
        (r#"{"reasoning_content":"Hm"}"#, r#"{"reasoning_content":"Hm"}"#),
        (r#"{"content":"a"}"#, r#"{"content":"a"}"#),
        (r#"{"content":"b"}"#, r#"{"content":"b"}"#),
        (r#"{"refusal":"c"}"#, r#"{"refusal":"c"}"#),
        (&call(&format!(r#""id":"w","type":"function",{name}"#)), name),
        (&arguments, &arguments),
    ];
    let waits = pieces.iter().flat_map(|(piece, _)| [Act::Wait, delta(piece)]);
    let script = [accepted()].into_iter().chain(waits).chain([Act::Wait, data("[DONE]"), end()]).collect();
    let upstream = Server::start(vec![script]).await;
    let daemon = daemon(&upstream, &Settings::default());
    let tools = json!({"tools": [{"type": "function", "function": {"name": "weather"}}]});
    let mut client = Client::post(&daemon, &crate::with(ask("Go"), tools)).await;
    client.head().await;
    client.frame().await;
    for (_, seen) in &pieces {
        upstream.go();
        let packet = client.packet().await;
        let frame = packet.split_once("\r\n").and_then(|(size, rest)| {
            let frame = rest.strip_suffix("\r\n")?;
            (usize::from_str_radix(size, 16).ok()? == frame.len()).then_some(frame)
        });
        let frame = frame.unwrap_or_else(|| panic!("not one whole chunk: {packet:?}"));
        assert!(frame.contains(seen) && frame.ends_with("\n\n"), "{seen} in {frame:?}");
    }
    upstream.go();
    assert!(client.rest().await.concat().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn silence_is_filled_whatever_it_comes_from() {
    let tool = crate::upstream::calls(0, "c", "terminal", &json!({"command": "sleep 1"}));
    let first = [vec![Act::Wait], turn([says("I sleep."), Act::Wait, tool], "tool_calls")].concat();
    let upstream = Server::start(vec![first, stream("Slept.")]).await;
    let server = "header_wait: 100ms, keepalive: 200ms";
    let daemon = daemon(&upstream, &Settings { server, profile: "tool_activity: hidden", ..Settings::default() });
    let mut client = Client::post(&daemon, &ask("Go")).await;
    assert_eq!(client.head().await.status, 200);
    client.frame_with("assistant").await;
    for silence_until in ["I sleep.", "Slept."] {
        for _ in 0..3 {
            assert_eq!(client.frame().await.as_deref(), Some(KEEPALIVE), "before {silence_until}");
        }
        upstream.go();
        client.frame_with(silence_until).await;
    }
    assert!(!client.rest().await.contains(&KEEPALIVE.to_owned()));
}

/// A model that writes a long file for `write_file` says nothing that a client could be shown.
#[tokio::test]
async fn silence_is_filled_while_a_server_tool_s_arguments_arrive() {
    let argument =
        |text: &str| delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}).to_string());
    let name = delta(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"list_files","arguments":"{"}}]}"#);
    let letters = (0..30).flat_map(|_| [pause(50), argument(" ")]);
    let first = turn([name].into_iter().chain(letters).chain([argument("}")]), "tool_calls");
    let upstream = Server::start(vec![first, stream("Listed.")]).await;
    let daemon = daemon(&upstream, &Settings { server: "keepalive: 200ms", ..Settings::default() });
    let frames = crate::client::stream(&daemon, &ask("Go")).await;
    assert_eq!(text(&frames), "Listed.");
    assert!(frames.iter().filter(|frame| *frame == KEEPALIVE).count() >= 3, "{frames:?}");
}
