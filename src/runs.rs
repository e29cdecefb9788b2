//! Runs in flight: who may start one, who executes it, who listens to it.

pub mod admission;
pub mod brief;
mod coming;
mod delegation;
mod descent;
mod driver;
pub mod format;
mod keys;
mod leases;
mod lines;
pub mod live;
pub mod log;
mod open_turns;
mod output;
pub mod profile;
pub mod recovery;
pub mod registry;
mod scribe;
pub mod session;
mod toolbox;
pub mod turns;

pub use brief::{Brief, Briefing};
pub use delegation::Delegations;
pub use live::LiveRun;
pub use log::Listener;
pub use profile::{Profile, Profiles};
pub use registry::{LeftRun, RunRequest, Runs};
