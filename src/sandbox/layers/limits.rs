//! What one process may use up (rlimits), and how many there may be.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sandbox::policy::Limits;

/// Of processor time, for a process that takes no notice of the signal for its limit.
const LAST_SECONDS: u64 = 1;

/// Processes are counted by user: in a user namespace of its own the command's alone, else all of that user's, so that
/// those that are there already come on top.
pub fn apply(limits: &Limits, counted_alone: bool, uid: u32) -> io::Result<()> {
    let others = if counted_alone { 0 } else { tasks_of(uid) };
    set(Resource::Core, 0)?;
    set(Resource::Data, limits.memory)?;
    // At the first of the two limits the kernel says why it ends the process.
    set_both(Resource::Cpu, limits.cpu_time, limits.cpu_time.saturating_add(LAST_SECONDS))?;
    set(Resource::Fsize, limits.file_size)?;
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Nproc, limits.processes.saturating_add(others))
}

/// Sets both limits, so that it cannot be raised again; what is lower already stays.
fn set(resource: Resource, wanted: u64) -> io::Result<()> {
    set_both(resource, wanted, wanted)
}

fn set_both(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let lowest = |wanted: u64| getrlimit(resource).maximum.map_or(wanted, |there| there.min(wanted));
    let limit = Rlimit { current: Some(lowest(current)), maximum: Some(lowest(maximum)) };
    match setrlimit(resource, limit) {
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
