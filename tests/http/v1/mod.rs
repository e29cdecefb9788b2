mod chat_completions;
mod conversations;
mod models;
pub mod responses;
