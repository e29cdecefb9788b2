//! Runs in flight: who may start one, who executes it, who listens to it.

pub mod admission;
mod driver;
pub mod format;
pub mod profile;
pub mod registry;
pub mod session;
mod toolbox;

pub use profile::Profile;
pub use registry::{RunRequest, Runs, Subscription};
