//! One daemon for one database. The lock belongs to the process, so that it is free again however that ends.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than a process takes to become another program, on a busy machine.
const MOMENT: Duration = Duration::from_secs(2);

/// How often a lock that is held is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// Held for as long as the store is open.
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

pub enum LockError {
    /// By the process of this id, as far as it has said so.
    Held {
        lock: PathBuf,
        pid: String,
    },
    Io(io::Error),
}

impl Lock {
    /// Takes the lock of the database. Waits for a moment, as a daemon that was killed may have been about to start a
    /// command: until that process is another program, it holds what the daemon held.
    pub fn take(database: &Path) -> Result<Self, LockError> {
        let mut lock = database.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let mut file = options.map_err(LockError::Io)?;
        match try_for(MOMENT, || flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // Who it is only makes the message better.
                let _ = file.read_to_string(&mut pid);
                return Err(LockError::Held { lock, pid: pid.trim().to_owned() });
            }
            Err(error) => return Err(LockError::Io(error.into())),
        }
        let signed =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        // On a full disk the lock holds all the same.
        if let Err(error) = signed {
            tracing::warn!(%error, lock = %lock.display(), "the lock does not say whose it is");
        }
        Ok(Self(file))
    }
}

fn try_for(time: Duration, take: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    let begun = Instant::now();
    loop {
        match take() {
            Err(Errno::WOULDBLOCK) if begun.elapsed() < time => std::thread::sleep(TRY_AGAIN),
            taken => return taken,
        }
    }
}
