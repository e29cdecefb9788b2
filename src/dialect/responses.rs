//! The Responses dialect.

pub mod compact;
mod content;
pub mod contents;
mod context;
pub mod conversations;
pub mod events;
pub mod fold;
pub mod history;
mod hosted;
pub mod ids;
mod input;
pub mod items;
pub mod list;
pub mod mcp;
pub mod record;
pub mod request;
pub mod resource;
mod sealed;
pub mod settings;
mod stored_head;
mod text;
mod tools;
pub mod view;
pub mod websocket;

#[cfg(test)]
mod tests;
