//! The Responses dialect.

mod content;
pub mod events;
pub mod fold;
mod history;
mod hosted;
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
mod view;

#[cfg(test)]
mod tests;
