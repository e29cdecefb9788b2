//! The agent loop as a pure state machine: inputs in, effects out, no IO. Every ordering is a plain unit test.

pub mod agent;
mod allowance;
mod call;
pub mod demand;
pub mod effect;
pub mod input;
pub mod limits;
pub mod machine;
pub mod on_disconnect;
mod past;
mod pending;
pub mod spec;
mod step;
mod summary;
mod view;
mod window;

pub use agent::Agent;
pub use effect::Effect;
pub use input::{Cancel, Input, ToolDone};
pub use limits::{Delegation, Limits};
pub use machine::Machine;
pub use on_disconnect::OnDisconnect;
pub use past::closing;
pub use spec::{Compaction, RunSpec, Truncation};
pub use summary::INSTRUCTIONS as SUMMARY_INSTRUCTIONS;
pub use window::input_tokens;
