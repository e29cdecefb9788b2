//! Language models behind HTTP and the rehearsal that stands in for one: the adapters of `core::ports::upstream`.

mod chunk;
pub mod discover;
mod failure;
pub mod health;
pub mod openai_chat;
mod patience;
mod pieces;
mod reader;
pub mod registry;
pub mod rehearsal;
mod request;
pub mod retry;
mod secrets;
pub mod server;
pub mod settings;
pub mod sse;
