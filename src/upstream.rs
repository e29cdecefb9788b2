//! Language models behind HTTP and the rehearsal that stands in for one: the adapters of `core::ports::upstream`.

mod chunk;
mod failure;
pub mod health;
pub mod openai_chat;
mod reader;
mod request;
pub mod server;
pub mod settings;
mod sse;
