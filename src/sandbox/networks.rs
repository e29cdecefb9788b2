//! The networks of sessions that have only themselves to talk to. Each is held open here, so that what one command has
//! started and what the next one asks meet in the same.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lru::LruCache;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{getegid, geteuid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use tokio::sync::Mutex;

use super::layers::namespaces;
use super::protocol;

/// Networks that are held at a time. One that is forgotten lives on for the processes that are in it.
const MAX_HELD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// A network, and the users it belongs to unless these are the machine's.
#[derive(Debug)]
pub(super) struct Held {
    descriptors: Vec<OwnedFd>,
}

/// Networks by workspace.
#[derive(Clone, Debug)]
pub(super) struct Networks(Arc<Mutex<LruCache<PathBuf, Arc<Held>>>>);

impl Networks {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(MAX_HELD))))
    }

    /// The network of a workspace, made if there is none yet. While one is made the others wait.
    pub async fn of(
        &self,
        workspace: &Path,
        make: impl Future<Output = io::Result<Vec<OwnedFd>>>,
    ) -> io::Result<Arc<Held>> {
        let mut held = self.0.lock().await;
        if let Some(network) = held.get(workspace) {
            return Ok(Arc::clone(network));
        }
        let network = Arc::new(Held { descriptors: make.await? });
        held.put(workspace.to_owned(), Arc::clone(&network));
        Ok(network)
    }
}

impl Held {
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.descriptors.iter().map(AsFd::as_fd)
    }
}

/// For a supervisor that makes a network and runs no command: makes it, and hands it over. Where it cannot, it ends
/// without a word: the supervisor of the command then finds out what to say.
pub(super) fn make(lifeline: &UnixStream) {
    if let Ok(descriptors) = new_network() {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let _ = protocol::send(lifeline, b"\n", &descriptors);
    }
}

fn new_network() -> io::Result<Vec<OwnedFd>> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let mut namespaces = UnshareFlags::NEWNET;
    if !geteuid().is_root() {
        namespaces |= UnshareFlags::NEWUSER;
    }
    // SAFETY: neither of them is shared with anybody: this process has one thread.
    unsafe { unshare_unsafe(namespaces)? };
    let users = namespaces.contains(UnshareFlags::NEWUSER);
    if users {
        namespaces::map_self(uid, gid)?;
    }
    namespaces::loopback_up()?;
    let opened = |path: &str| open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let mut descriptors = vec![opened("/proc/self/ns/net")?];
    if users {
        descriptors.push(opened("/proc/self/ns/user")?);
    }
    Ok(descriptors)
}

/// For a supervisor: goes where its command shall be. First to the users that the network belongs to, as only there it
/// has the right to the rest; whether it has is the answer.
pub(super) fn join(descriptors: &[OwnedFd]) -> io::Result<bool> {
    let (network, users) = match descriptors {
        [network] => (network, None),
        [network, users] => (network, Some(users)),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    if let Some(users) = users {
        move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User))?;
    }
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(users.is_some())
}
