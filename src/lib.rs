//! nuncio: a full agent behind the OpenAI API.
pub mod core;
pub mod dialect;
pub mod http;
pub mod runs;
