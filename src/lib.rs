//! nuncio: a full agent behind the OpenAI API.
pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod dialect;
pub mod http;
pub mod runs;
pub mod sandbox;
pub mod shutdown;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tools;
pub mod upstream;
