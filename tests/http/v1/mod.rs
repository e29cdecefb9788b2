mod chat_completions;
mod formats;
mod models;
mod responses;
