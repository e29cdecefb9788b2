//! nuncio: a full agent behind the OpenAI API.
pub mod core;
pub mod upstream;
