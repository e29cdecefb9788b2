//! The agent loop as a pure state machine: inputs in, effects out, no IO. Every ordering is a plain unit test.

pub mod agent;
mod call;
pub mod demand;
pub mod effect;
pub mod input;
pub mod limits;
pub mod machine;
mod pending;
pub mod spec;
mod step;

pub use agent::Agent;
pub use effect::Effect;
pub use input::{Cancel, Input, ToolDone};
pub use limits::Limits;
pub use machine::Machine;
pub use spec::RunSpec;
