//! What is asked of the operating system at start: open files, a listener, private folders.

use rustix::fs::{Access, access};
use rustix::process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior, setrlimit};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that may wait to be accepted; a burst of thousands of streams is one of the things we are for.
const BACKLOG: u32 = 4096;

/// Files a run needs: its client's socket and its upstream's.
const FILES_PER_RUN: u64 = 2;

/// Raises the limit of open files as far as it goes, and says so if that is too low for `max_runs`.
pub fn raise_open_files(max_runs: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit);
    let allowed = getrlimit(Resource::Nofile).current;
    let needed = (max_runs as u64).saturating_mul(FILES_PER_RUN).saturating_add(64);
    if raised.is_err() || allowed.is_some_and(|allowed| allowed < needed) {
        tracing::warn!(?allowed, needed, "the limit of open files is low for server.max_runs: raise it (ulimit -Hn)");
    }
}

/// Listens on the first address of `host` that can be bound.
pub async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for the connections of the last run to be forgotten.
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Whether a path is a folder that can be written to, or could become one. Changes nothing.
pub fn check_folder(path: &Path) -> io::Result<()> {
    for part in path.ancestors() {
        match part.metadata() {
            Ok(found) if found.is_dir() => return Ok(access(part, Access::WRITE_OK | Access::EXEC_OK)?),
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no folder", part.display())));
            }
            // A link that leads nowhere is not found, yet nothing can be made in its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_symlink() => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Whether a path is a file that can be written to, or nothing yet. Changes nothing.
pub fn check_file(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(access(path, Access::READ_OK | Access::WRITE_OK)?),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a folder, and those above it, that only its owner can look into.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Lets others pass through a folder to what they may reach in it, without seeing what there is.
pub fn let_pass(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o711))
}

/// The user and group of a name, or of a number, on this machine.
pub fn user(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let ids = fields.skip(1).take(2).map(|id| id.parse().ok()).collect::<Option<Vec<u32>>>()?;
        found.then_some((*ids.first()?, *ids.get(1)?))
    });
    of_name.or_else(|| name.parse().ok().map(|id| (id, id)))
}

/// Keeps other processes of the same user, the agent's commands among them, from reading our memory and environment,
/// where keys are. It also means that a crash leaves no core file.
pub fn keep_to_ourselves() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "commands of the agent may be able to read the daemon's environment");
    }
}
