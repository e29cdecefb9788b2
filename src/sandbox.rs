//! Commands of the agent, each under a supervisor that leaves none of its processes behind.
//!
//! The daemon never forks. It starts its own binary once more (`nuncio __supervise`), and that small
//! single-threaded process starts the command and outlives it:
//!
//! ```text
//! daemon ──socket (lifeline)── supervisor ── command ── whatever it starts
//!    └──────────── pipes for stdin, stdout, stderr ───────┘
//! ```
//!
//! - The request and the command's three streams go over the socket, the answer comes back over it, and its
//!   end means "kill everything": a time limit, a dropped future and the daemon's own death look the same.
//! - The supervisor is a child subreaper: a process that daemonises itself becomes its child, not init's.
//! - The answer is given when no descendant is left.
//!
//! What a command may do is said by a [`Policy`], and enforced by the kernel in layers that the supervisor puts on
//! (`start.rs`, `layers/`). With namespaces there is a process between the two (`init.rs`):
//!
//! ```text
//! supervisor ── first process of the namespaces ── command ── whatever it starts
//! ```
//!
//! With no layers the supervisor cannot reach processes that a *service outside* starts on the command's behalf (cron, a
//! container engine), and, unless the daemon is root, those that gained another user's rights. A command that kills its
//! own supervisor then dies with it, but processes it had started may live on; so they may where a process stops the
//! supervisor again and again, faster than it is told to go on.

pub mod capture;
mod descendants;
mod disk;
mod init;
mod layers;
pub mod lock;
mod networks;
pub mod policy;
mod probe;
mod protocol;
mod signals;
pub mod spawn;
mod start;
pub mod supervisor;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use capture::{Captured, OutputLimits};
pub use lock::CommandsLock;
pub use policy::{Broken, Layer, Level, Limits, Network, Policy, UserIds};
pub use spawn::{Ended, Finished, Running, SpawnError, Streams, Supervisor};

/// The first argument that makes the binary a supervisor. No word a person would type.
pub const SUPERVISE: &str = "__supervise";

/// What to run. It goes to the supervisor as it is, so all of it must be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// A path, or a name that is looked up in the `PATH` of [`env`](Self::env).
    pub program: String,
    pub args: Vec<String>,
    /// Where it starts: its workspace. Absolute, and with a sandbox a folder as itself and no symlink.
    pub cwd: PathBuf,
    /// The whole environment: nothing of the daemon's is added, as it may hold keys.
    pub env: Vec<(String, String)>,
}
