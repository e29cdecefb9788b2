mod chat_completions;
mod models;
