//! The Responses dialect.

mod content;
pub mod events;
pub mod fold;
mod history;
mod input;
pub mod items;
pub mod list;
pub mod record;
pub mod request;
pub mod resource;
mod settings;
mod text;
mod tools;
pub mod websocket;

#[cfg(test)]
mod tests;
