mod capabilities;
mod chat_completions;
mod conversations;
mod formats;
mod models;
pub mod responses;
