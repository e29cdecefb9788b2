//! Tools of other servers, over the Model Context Protocol. The only place that names rmcp.
//!
//! Each configured server has a keeper ([`server`]), a task that starts it, follows what it offers, and starts it again
//! when it ends. Whatever a server does, it does to its own calls alone: what comes from it goes through the limits of
//! [`guard`] and [`pipe`] before anything of it is kept, and a run takes the tools that are there when it begins.

mod adapter;
mod client;
mod connection;
mod content;
mod guard;
mod hub;
mod listing;
mod names;
mod pipe;
mod prompts;
mod resources;
mod server;
mod settings;

pub use hub::{Hub, Offered, Visit};
pub use prompts::GetPrompt;
pub use resources::ReadResource;
pub use server::Server;
pub use settings::{ServerSettings, Transport};

/// Names of the tools that look into what servers have besides tools. No tool of a server is called so.
pub const OWN_TOOLS: [&str; 2] = [resources::NAME, prompts::NAME];
