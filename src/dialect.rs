//! The dialects: requests in, frames and objects out. Pure projections of the core's types onto the wire.

pub mod activity;
pub mod chat;
pub mod error;
pub mod fields;
pub mod sse;
