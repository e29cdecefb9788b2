//! What a server may take of the daemon.

use crate::{daemon, health, hostile, memory, offered, said, until, with};
use serde_json::json;

/// KiB that the daemon may have come to need: far less than what the servers here send.
const LITTLE: u64 = 200 << 10;

#[tokio::test]
async fn an_answer_of_a_hundred_megabytes_is_not_taken() {
    let daemon = with("good");
    let told = said(&daemon, "huge", json!({})).await.unwrap_err();
    assert!(told.starts_with("The MCP server it went away during the call"), "{told}");
    let line = until(&daemon, "it", |line| line["last_error"].is_object()).await;
    assert_eq!(line["last_error"]["message"], "it sent a message of more than 16 MiB");
    assert!(memory(&daemon) < LITTLE, "{} KiB", memory(&daemon));
    assert_eq!(said(&daemon, "echo", json!({"text": "hi"})).await, Ok("hi".to_owned()));
}

#[tokio::test]
async fn a_flood_of_notices_harms_nobody_else() {
    let servers = [("a", hostile("good", "") + ", allow: [chatter]}"), ("b", hostile("good", "") + ", allow: [echo]}")];
    let daemon = daemon(&servers, "");
    let (flooded, other) =
        tokio::join!(said(&daemon, "chatter", json!({})), said(&daemon, "echo", json!({"text": "hi"})));
    assert_eq!((flooded, other), (Ok("that was all".to_owned()), Ok("hi".to_owned())));
    assert!(memory(&daemon) < LITTLE, "{} KiB", memory(&daemon));
    assert!(daemon.log().len() < 10_000, "{}", daemon.log());
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_given_up() {
    let daemon = with("good");
    let told = said(&daemon, "asks", json!({})).await.unwrap_err();
    assert!(told.starts_with("The MCP server it went away during the call"), "{told}");
    let line = until(&daemon, "it", |line| line["last_error"].is_object()).await;
    assert_eq!(line["last_error"]["message"], "it asks and asks, and takes no answers");
    assert!(memory(&daemon) < LITTLE, "{} KiB", memory(&daemon));
}

#[tokio::test]
async fn noise_and_lines_without_end_are_no_greeting() {
    let servers =
        [("line", hostile("endless-line", "") + "}"), ("noise", hostile("noise", "") + ", start_timeout: 2s}")];
    let daemon = daemon(&servers, "");
    let line = until(&daemon, "line", |line| line["last_error"].is_object()).await;
    assert_eq!(line["last_error"]["message"], "it sent a message of more than 16 MiB");
    let line = until(&daemon, "noise", |line| line["last_error"].is_object()).await;
    assert_eq!(line["last_error"]["message"], "it gave no answer within 2 s");
    assert!(memory(&daemon) < LITTLE, "{} KiB", memory(&daemon));
    assert_eq!(said(&daemon, "list_files", json!({})).await, Ok("[empty folder]".to_owned()));
}

#[tokio::test]
async fn a_list_without_end_has_one_here_and_a_tool_without_a_schema_is_left_out() {
    let servers = ["bad-schema", "endless-list", "heavy-list"].map(|mode| hostile(mode, "") + "}");
    let servers: Vec<(&str, String)> = ["bad", "endless", "heavy"].into_iter().zip(servers).collect();
    let daemon = daemon(&servers, "");
    let line = until(&daemon, "endless", |line| line["state"] == "up").await;
    assert_eq!(line["tools"].as_array().unwrap().len(), 512);
    let more = json!(["it lists more than 512 tools or 8 MiB, or without end: the rest is left out"]);
    assert_eq!(line["notes"], more);
    let line = until(&daemon, "heavy", |line| line["state"] == "up").await;
    assert_eq!((&line["tools"], &line["notes"]), (&json!(["echo"]), &more));
    let line = until(&daemon, "bad", |line| line["state"] == "up").await;
    let note = line["notes"][0].as_str().unwrap();
    assert!(note.starts_with("`bad_schema` is left out: its schema is none:"), "{note}");
    assert_eq!(health(&daemon, "bad").await["tools"], json!(["echo"]));
    assert!(offered(&daemon).await.len() > 512);
    assert!(memory(&daemon) < LITTLE, "{} KiB", memory(&daemon));
}
