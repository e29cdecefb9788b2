//! What one process may use up (rlimits), and how many there may be.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sandbox::policy::Limits;

/// Processes are counted by user: in a user namespace of its own the command's alone, else all of that user's, so that
/// those that are there already come on top.
pub fn apply(limits: &Limits, counted_alone: bool, uid: u32) -> io::Result<()> {
    let others = if counted_alone { 0 } else { tasks_of(uid) };
    set(Resource::Core, 0)?;
    set(Resource::Data, limits.memory)?;
    set(Resource::Cpu, limits.cpu_time)?;
    set(Resource::Fsize, limits.file_size)?;
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Nproc, limits.processes.saturating_add(others))
}

/// Sets both limits, so that it cannot be raised again; what is lower already stays.
fn set(resource: Resource, wanted: u64) -> io::Result<()> {
    let limit = getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted));
    match setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }) {
        Err(Errno::PERM) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Processes and threads of a user, as far as they can be seen.
fn tasks_of(uid: u32) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let tasks = processes.flatten().filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        (field("Uid:")? == u64::from(uid)).then(|| field("Threads:")).flatten()
    });
    tasks.sum()
}
