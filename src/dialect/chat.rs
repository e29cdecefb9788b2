//! The Chat Completions dialect.

pub mod activity;
pub mod chunks;
mod messages;
pub mod object;
pub mod request;
mod tools;
pub mod wire;
