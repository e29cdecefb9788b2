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
mod stored_head;
mod text;
mod tools;

#[cfg(test)]
mod tests;
