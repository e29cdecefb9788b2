//! Kills everything below this process, however it tries to get away.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpgid, getpgrp, getpid, kill_process, kill_process_group, wait,
};

use super::signals::ChildSignals;

/// How long to wait for a killed child before looking again: the first wait, and what doubling ends at. Only
/// a child that cannot die at once (stuck in the kernel, or not ours to kill) ever waits long.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The command and all that comes from it. This process must be their subreaper, and single-threaded.
pub(super) struct Descendants {
    command: Pid,
    /// How the command ended, once it did.
    pub(super) ended: Option<WaitStatus>,
}

impl Descendants {
    pub(super) fn of(command: Pid) -> Self {
        Self { command, ended: None }
    }

    /// Collects children that have ended: how many, or `None` when there is no child left at all.
    pub(super) fn reap(&mut self, at_most: usize) -> Option<usize> {
        for reaped in 0..at_most {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.command && self.ended.is_none() {
                        self.ended = Some(status);
                    }
                }
                Err(Errno::CHILD) => return None,
                Ok(None) | Err(_) => return Some(reaped),
            }
        }
        Some(at_most)
    }

    /// Returns when no descendant is left.
    ///
    /// It kills children only, again and again: the children of a dead child become children of this
    /// process. A child's pid cannot be given to a stranger before it is reaped here, which is not so for a
    /// grandchild's; and parents die before they can replace their children.
    pub(super) fn kill(&mut self, signals: &ChildSignals) {
        let mut pause = FIRST_WAIT;
        loop {
            let children = children();
            kill_all(&children);
            // As many as were just seen and one more, which can say that there is none. Not all: a process that
            // forks and ends in a loop could keep this one busy with collecting, and get away.
            match self.reap(children.len() + 1) {
                None => return,
                Some(1..) => {
                    pause = FIRST_WAIT;
                    continue;
                }
                Some(0) => {}
            }
            let timeout = pause.try_into().ok();
            let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], timeout.as_ref());
            signals.clear();
            pause = LONGEST_WAIT.min(pause * 2);
        }
    }
}

/// Kills children and their process groups. The kernel kills a group in one step, so that nothing in it can
/// fork its way out; the child itself may just be leaving it.
fn kill_all(children: &[Pid]) {
    let mut groups = HashSet::from([getpgrp()]);
    // The last ones first, for they are alive: who forks and ends all the time leaves many dead before them.
    for child in children.iter().rev() {
        if let Ok(group) = getpgid(Some(*child))
            && groups.insert(group)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = kill_process(*child, Signal::KILL);
    }
}

/// The children of this process, zombies included.
fn children() -> Vec<Pid> {
    match fs::read_to_string("/proc/thread-self/children") {
        Ok(list) => list.split_ascii_whitespace().filter_map(parse_pid).collect(),
        Err(_) => children_by_search(),
    }
}

/// The same for a kernel without `CONFIG_PROC_CHILDREN`, slowly.
fn children_by_search() -> Vec<Pid> {
    let own = getpid();
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = processes.flatten().filter_map(|entry| parse_pid(entry.file_name().to_str()?));
    pids.filter(|pid| parent(*pid) == Some(own)).collect()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in the second field may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    parse_pid(fields.split_ascii_whitespace().nth(1)?)
}

fn parse_pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_children_with_and_without_the_kernel_s_list() {
        #[expect(clippy::disallowed_methods, reason = "a process to look at, not one of the agent")]
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let pid = Pid::from_child(&child);
        // The list is that of the thread that started the child; the search is that of the process.
        let found = [children().contains(&pid), children_by_search().contains(&pid)];
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((found, children_by_search().contains(&pid)), ([true, true], false));
    }
}
