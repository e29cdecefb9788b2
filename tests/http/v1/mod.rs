mod chat_completions;
mod models;
mod responses;
