//! The HTTP surface of the running daemon; the modules mirror the URLs.

#[path = "../support/mod.rs"]
mod support;
mod v1;
