//! The agent, without the world: items, events, the run machine and the ports. No IO, no clock, no runtime.

pub mod estimate;
pub mod event;
pub mod failure;
pub mod format;
pub mod housekeeping;
pub mod id;
pub mod item;
pub mod journal;
pub mod logprob;
pub mod notes;
pub mod ports;
pub mod run;
pub mod sealed;
pub mod text;
pub mod transcript;
pub mod usage;
