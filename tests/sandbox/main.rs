//! What a command tries from inside the sandbox, on the real kernel, through the real supervisor.
//!
//! Each attempt is a line in a table ([`files`], [`processes`], [`network`], [`calls`], [`limits`]) that names the layers
//! that guard against it; [`attempt`] shows of each of these that it does so by itself, and that the attempt succeeds
//! without them. Where the tests are root, [`ordinary`] has all of them made once more by somebody who is not.

mod attacker;
mod attempt;
mod calls;
mod daemon;
mod files;
mod house;
mod kit;
mod leftovers;
mod limits;
mod missing;
mod model;
mod network;
mod ordinary;
mod processes;
mod races;
mod start;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/upstream.rs"]
mod upstream;

mod work;

pub use house::{House, LIMITS, LONG, supervisor};
