//! A control group of the command's own: what all its processes use up together is limited, and they can be killed at
//! one stroke. It can be made where the service manager has left a part of the tree to the daemon; anywhere else it
//! would lead out of the limits that the daemon itself is under.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::process::getpid;

use crate::sandbox::policy::Limits;

/// Where the tree of version 2 is, by itself or beside those of version 1.
const TREES: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Marks by which the service manager says that a group is for the daemon to divide; the second is for all to see.
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];

/// Groups that were left by supervisors that were killed can be told from those of others by this.
const PREFIX: &str = "nuncio-";

/// The group of one command.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    /// What a process writes to in order to go in.
    door: File,
}

impl Group {
    /// Makes it, with no process in it.
    pub fn new(limits: &Limits) -> io::Result<Self> {
        let none = || io::Error::other("no control group was left to this daemon (systemd: Delegate=yes)");
        let tree = TREES.into_iter().map(Path::new).find(|tree| tree.join("cgroup.controllers").exists());
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let (tree, own) = tree.zip(own).ok_or_else(none)?;
        let parent = parent_in(tree, own, is_delegated).ok_or_else(none)?;
        Self::make(&parent, limits)
    }

    fn make(parent: &Path, limits: &Limits) -> io::Result<Self> {
        remove_left(parent);
        // A group with processes in it passes nothing on, and then there are no limits but still one stroke.
        for controller in ["+memory", "+pids"] {
            let _ = fs::write(parent.join("cgroup.subtree_control"), controller);
        }
        let folder = parent.join(format!("{PREFIX}{}", getpid().as_raw_nonzero()));
        fs::create_dir(&folder)?;
        let opened = OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        let door = opened.inspect_err(|_| drop(fs::remove_dir(&folder)))?;
        let group = Self { folder, door };
        for (file, limit) in [("memory.max", limits.memory), ("pids.max", limits.processes)] {
            let path = group.folder.join(file);
            if path.exists() {
                fs::write(path, limit.to_string())?;
            }
        }
        Ok(group)
    }

    /// For another process: to go in by itself.
    pub fn door(&self) -> io::Result<Door> {
        Ok(Door(self.door.try_clone()?))
    }

    /// Kills whatever is in it, as far as the kernel knows how (5.14).
    pub fn kill(&self) {
        let _ = fs::write(self.folder.join("cgroup.kill"), "1");
    }
}

/// What is still in it keeps it.
impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The way into a group.
#[derive(Debug)]
pub struct Door(File);

impl Door {
    /// Takes this process in, and with it all that it starts.
    pub fn enter(&mut self) -> io::Result<()> {
        self.0.write_all(b"0")
    }
}

/// The group to make one in: the one that the daemon's own is in, which may hold no processes itself, or its own.
fn parent_in(tree: &Path, own: &str, is_delegated: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let own = tree.join(own);
    let around = own.parent().filter(|around| around.starts_with(tree)).map(Path::to_owned);
    around.into_iter().chain([own]).find(|group| is_delegated(group))
}

fn is_delegated(group: &Path) -> bool {
    let mut value = [0; 1];
    let is_set = |mark: &str| matches!(rustix::fs::getxattr(group, mark, &mut value[..]), Ok(1)) && value == *b"1";
    DELEGATED.into_iter().any(is_set)
}

/// Removes groups of supervisors that were killed before they could. One with processes in it is not removed.
fn remove_left(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if of.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_made_only_in_one_that_was_left_to_the_daemon() {
        let tree = Path::new("/tree");
        let found = |own: &str, delegated: &str| {
            parent_in(tree, own, |group| group == tree.join(delegated)).map(|parent| parent.display().to_string())
        };
        assert_eq!(found("system/nuncio/daemon", "system/nuncio").as_deref(), Some("/tree/system/nuncio"));
        assert_eq!(found("system/nuncio", "system/nuncio").as_deref(), Some("/tree/system/nuncio"));
        assert_eq!(found("system/nuncio", "elsewhere"), None);
        assert_eq!(found("", "elsewhere"), None);
    }
}
