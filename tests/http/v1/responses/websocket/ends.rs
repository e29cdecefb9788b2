//! How a connection ends, and what becomes of its turn then.

use super::*;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// Begins a turn that goes on by itself, reads its first words, and gives its id.
async fn begin(socket: &mut Socket, script: &str) -> String {
    socket.say(&create(script)).await;
    let id = socket.hear().await["response"]["id"].as_str().unwrap().to_owned();
    while socket.hear().await["type"] != "response.output_text.delta" {}
    id
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_turn_unless_it_says_otherwise() {
    let daemon = Daemon::rehearsing();
    let script = "say: Begun\nwait: 500ms\nsay: Done";
    for goodbye in [true, false] {
        let mut socket = Socket::open(&daemon).await;
        let id = begin(&mut socket, script).await;
        if goodbye {
            socket.0.close(None).await.unwrap();
        } else {
            drop(socket);
        }
        let left = until(&daemon, &id, |response| response["status"] != "in_progress").await;
        assert_eq!((&left["status"], text(&left).as_str()), (&json!("incomplete"), "Begun"));
    }
    let mut socket = Socket::open_with(&daemon, &[("x-nuncio-on-disconnect", "detach")]).await;
    let id = begin(&mut socket, script).await;
    drop(socket);
    let left = until(&daemon, &id, |response| response["status"] != "in_progress").await;
    assert_eq!((&left["status"], text(&left).as_str()), (&json!("completed"), "Begun\nDone"));
}

#[tokio::test]
async fn a_goodbye_is_answered() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let frame = CloseFrame { code: 4321.into(), reason: "enough".into() };
    socket.send(Message::Close(Some(frame.clone()))).await;
    assert_eq!(socket.next().await, Some(Message::Close(Some(frame))));
    assert_eq!(socket.next().await, None);
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so() {
    let daemon = Daemon::rehearsing();
    let text = |bytes: &'static [u8]| Frame::message(bytes, OpCode::Data(Data::Text), true);
    let mut compressed = text(b"{}");
    compressed.header_mut().rsv1 = true;
    for (frame, code) in [(text(b"\xff"), 1007), (compressed, 1002)] {
        let mut socket = Socket::open(&daemon).await;
        socket.send(Message::Frame(frame)).await;
        assert_eq!(socket.closed().await, code);
    }
}
