mod capabilities;
mod chat_completions;
mod conversations;
mod formats;
mod models;
mod repeats;
pub mod responses;
mod runs;
