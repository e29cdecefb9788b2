//! The Responses dialect.

pub mod compact;
mod content;
mod context;
pub mod events;
pub mod fold;
mod history;
mod input;
pub mod items;
pub mod list;
pub mod record;
pub mod request;
pub mod resource;
mod sealed;
mod settings;
mod text;
mod tools;

#[cfg(test)]
mod tests;
