//! What a command tries from inside the sandbox, on the real kernel, through the real supervisor.

mod attempts;
mod daemon;
mod missing;
#[path = "../support/mod.rs"]
mod support;

use nuncio::sandbox::{Captured, Command, Ended, Finished, OutputLimits, Policy, SpawnError, Supervisor, UserIds};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Nothing here takes that long, unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);

pub const LIMITS: OutputLimits = OutputLimits { head: 2000, tail: 2000 };

pub fn supervisor(policy: &Policy) -> Supervisor {
    Supervisor::new(env!("CARGO_BIN_EXE_nuncio")).under(policy.clone())
}

/// A data folder like the daemon's, closed to others, with two workspaces in it.
pub struct House {
    _folder: TempDir,
    pub data: PathBuf,
    pub workspace: PathBuf,
    pub other: PathBuf,
}

impl House {
    #[expect(clippy::new_without_default, reason = "it makes folders")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().canonicalize().unwrap().join("data");
        let [workspace, other] = ["workspaces/one", "workspaces/other"].map(|name| data.join(name));
        for made in [&workspace, &other, &data.join("tmp")] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(data.join("nuncio.db"), "database").unwrap();
        fs::write(other.join("notes"), "other's").unwrap();
        Self { _folder: folder, data, workspace, other }
    }

    /// A policy as the daemon makes them: root runs commands as nobody, all others as themselves.
    pub fn policy(&self) -> Policy {
        let nobody = UserIds { uid: 65534, gid: 65534 };
        Policy {
            user: rustix::process::geteuid().is_root().then_some(nobody),
            tmp: Some(self.data.join("tmp")),
            ..Policy::default()
        }
    }

    pub fn command(&self, script: &str) -> Command {
        Command {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: self.workspace.clone(),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        }
    }

    pub async fn try_run(&self, policy: &Policy, script: &str) -> Result<Finished, SpawnError> {
        supervisor(policy).run(&self.command(script), LIMITS, LONG).await
    }

    /// What a script says, and how it ended.
    pub async fn run(&self, policy: &Policy, script: &str) -> (String, Ended) {
        let Finished { ended, output: Captured { head, .. } } = self.try_run(policy, script).await.unwrap();
        (head.trim_end().to_owned(), ended)
    }
}
