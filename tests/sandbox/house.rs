//! A data folder like the daemon's, two workspaces in it, and things outside that nobody shall get at.

use crate::kit::Kit;
use crate::support::temp;
use nuncio::sandbox::{Captured, Command, Ended, Finished, OutputLimits, Policy, SpawnError, Supervisor, UserIds};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Nothing here takes that long, unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);

pub const LIMITS: OutputLimits = OutputLimits { head: 2000, tail: 2000 };

/// Who the commands of a daemon that is root run as.
const NOBODY: UserIds = UserIds { uid: 65534, gid: 65534 };

pub fn supervisor(policy: &Policy) -> Supervisor {
    Supervisor::new(Kit::get().nuncio.clone()).under(policy.clone())
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub struct House {
    _folder: TempDir,
    pub kit: Arc<Kit>,
    /// The daemon's, with its database.
    pub data: PathBuf,
    /// Of the session whose commands attack.
    pub workspace: PathBuf,
    /// Of another session.
    pub other: PathBuf,
    /// Open to every user of the machine, so that it is the sandbox that keeps commands out of it.
    pub outside: PathBuf,
    /// What the policy lets be read.
    pub library: PathBuf,
}

impl House {
    #[expect(clippy::new_without_default, reason = "it makes folders")]
    pub fn new() -> Self {
        let folder = temp();
        let root = folder.path().canonicalize().unwrap();
        let data = root.join("data");
        let [workspace, other, tmp] = ["workspaces/one", "workspaces/other", "tmp/other"].map(|name| data.join(name));
        let [outside, library] = ["outside", "library"].map(|name| root.join(name));
        // As the daemon makes them where it cannot count on a view: to be passed and not to be listed.
        let passable = [&root, &data, &data.join("workspaces"), &data.join("tmp")];
        for made in passable.into_iter().chain([&workspace, &other, &tmp, &outside, &library]) {
            fs::create_dir_all(made).unwrap();
        }
        for folder in passable {
            fs::set_permissions(folder, Permissions::from_mode(0o711)).unwrap();
        }
        write(&data.join("nuncio.db"), "database", 0o600);
        write(&other.join("notes"), "other's", 0o600);
        write(&tmp.join("draft"), "other's", 0o600);
        write(&outside.join("file"), "anybody's", 0o666);
        write(&library.join("lib"), "shared", 0o644);
        fs::set_permissions(&outside, Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o700)).unwrap();
        let house = Self { _folder: folder, kit: Kit::get(), data, workspace, other, outside, library };
        // All sessions share one user, so that rights of files do not keep them apart.
        if let Some(UserIds { uid, gid }) = house.policy().user {
            let files = [house.other.join("notes"), tmp.join("draft"), house.outside.join("file")];
            for path in files.iter().chain([&house.other, &tmp, &house.outside]) {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        house
    }

    /// A policy as the daemon makes them: root runs commands as nobody, all others as themselves.
    pub fn policy(&self) -> Policy {
        Policy {
            user: is_root().then_some(NOBODY),
            tmp: Some(self.data.join("tmp")),
            read: vec![self.library.clone(), self.kit.folder.clone()],
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

    /// What can be seen from here of what is outside of the workspace. No attempt that fails has changed it.
    pub fn surroundings(&self) -> String {
        let mut seen = Vec::new();
        let mut folders = vec![self.data.clone(), self.outside.clone(), self.library.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                let path = entry.path();
                match entry.file_type().unwrap() {
                    // These two are the command's own.
                    _ if path == self.workspace || path == self.data.join("tmp") => {}
                    kind if kind.is_dir() => folders.push(path),
                    kind if kind.is_file() => {
                        seen.push(format!("{}: {:?}", path.display(), fs::read(&path).unwrap_or_default()));
                    }
                    kind => seen.push(format!("{}: {kind:?}", path.display())),
                }
            }
        }
        seen.sort();
        seen.join("\n")
    }
}

fn write(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
