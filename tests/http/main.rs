//! The HTTP surface of the running daemon; the modules mirror the URLs.

mod door;
mod health;
mod raw;
mod recorder;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/upstream.rs"]
mod upstream;
mod v1;
#[path = "../support/websocket.rs"]
mod websocket;
