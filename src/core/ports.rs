//! The ports: what the core asks of the world, as traits and their errors. Edges implement them; `app.rs` joins them.

pub mod conversations;
pub mod delegate;
pub mod equipment;
pub mod journals;
pub mod notes;
pub mod store;
pub mod tool;
pub mod upstream;
