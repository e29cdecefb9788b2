//! Runs in flight: who may start one, who executes it, who listens to it.

pub mod admission;
mod driver;
pub mod live;
pub mod log;
pub mod profile;
pub mod registry;
mod scribe;
pub mod session;
mod toolbox;

pub use live::LiveRun;
pub use log::Listener;
pub use profile::Profile;
pub use registry::{RunRequest, Runs};
