//! The lock by which a daemon knows that the commands of the one before it are gone.
//!
//! Each supervisor holds it, shared with the others, from before its command starts until nothing of it is left. The
//! commands themselves never get the descriptor. Whoever can lock it alone knows that no supervisor is at work.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::time::sleep;

/// How often a lock that is held is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The file that is locked.
#[derive(Clone, Debug)]
pub struct CommandsLock {
    path: PathBuf,
}

impl CommandsLock {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no supervisor holds the lock. Those of this daemon count too, so this is for before it starts any.
    pub async fn is_free(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        while !try_alone(&file)? {
            sleep(TRY_AGAIN).await;
        }
        Ok(())
    }
}

fn try_alone(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// For a supervisor: held until the file is closed.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    while let Err(error) = flock(&file, FlockOperation::LockShared) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(file)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
