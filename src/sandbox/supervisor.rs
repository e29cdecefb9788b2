//! The re-exec'd side: a process that starts one command, and ends when nothing of it is left.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, WaitStatus, getpid, set_child_subreaper, set_parent_process_death_signal, setsid};

use super::descendants::Descendants;
use super::disk::{Found, Meter};
use super::init;
use super::lock;
use super::networks;
use super::protocol::{self, Answer, Request};
use super::signals::ChildSignals;
use super::start::{Started, start};

/// Children may end faster than they can be collected, and then the lifeline must still be looked at.
const REAPED_AT_ONCE: usize = 128;

/// Supervises the one command that is asked for on stdin. To be called first thing in `main`: what it does
/// to signals, descriptors and children is meant for a process that has nothing else and one thread.
pub fn run() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The daemon's stderr, which may be closed: no reason to panic.
            let _ = writeln!(io::stderr(), "nuncio supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise() -> io::Result<()> {
    close_inherited_descriptors();
    // Away from the daemon's terminal, whose Ctrl-C is for the daemon.
    setsid()?;
    let signals = ChildSignals::listen()?;
    set_child_subreaper(Some(getpid()))?;
    // The daemon's death is heard over the lifeline, but not by a process that the command has stopped.
    set_parent_process_death_signal(Some(Signal::CONT))?;

    let mut lifeline = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (command, policy, lock, descriptors) = match protocol::receive_request(&lifeline)? {
        Some((Request::Run { command, policy, lock }, descriptors)) => (command, policy, lock, descriptors),
        Some((Request::Network, _)) => {
            networks::make(&lifeline);
            return Ok(());
        }
        None => return Ok(()),
    };
    let _lock = lock.as_deref().map(lock::hold).transpose()?;
    // Whoever has waited for the lock takes it that the commands of this daemon are gone, if it is gone itself.
    if is_cut(&lifeline) {
        return Ok(());
    }
    let answer = match start(&policy, &command, descriptors) {
        Ok(Started { pid, report, group, meter }) => {
            let mut descendants = Descendants::of(pid);
            watch(&lifeline, &mut descendants, &signals, meter);
            if let Some(group) = &group {
                group.kill();
            }
            descendants.kill(&signals);
            let told = report.and_then(init::ended);
            told.unwrap_or_else(|| answer(descendants.ended))
        }
        Err(refused) => refused,
    };
    match lifeline.write_all(&protocol::encode(&answer)?) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Closes what the daemon may have let slip through: the supervisor, let alone the command, shall hold neither
/// a listening socket nor a database that outlives the daemon.
fn close_inherited_descriptors() {
    // SAFETY: called first thing, when this process owns no descriptor above stderr yet. A kernel without the
    // call (before 5.9) refuses it; the daemon's own descriptors are close-on-exec anyway.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

fn is_cut(lifeline: &UnixStream) -> bool {
    let mut events = [PollFd::new(lifeline, PollFlags::IN)];
    !matches!(poll(&mut events, Some(&Timespec::default())), Ok(0))
}

/// Returns when the command has ended, the lifeline was cut, or the workspace is full.
fn watch(
    lifeline: &UnixStream,
    descendants: &mut Descendants,
    signals: &ChildSignals,
    mut meter: Option<(Meter, OwnedFd)>,
) {
    let mut is_busy = false;
    while descendants.ended.is_none() {
        if let Some((meter, stderr)) = &mut meter
            && let Some(found) = meter.measure()
            && tell(found, stderr)
        {
            break;
        }
        let timeout = match (is_busy, &meter) {
            (true, _) => Some(Duration::ZERO),
            (false, Some((meter, _))) => Some(meter.pause()),
            (false, None) => None,
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut events = [PollFd::new(lifeline, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        let waited = poll(&mut events, timeout.as_ref());
        let [cut, _] = events.map(|event| !event.revents().is_empty());
        if cut || matches!(waited, Err(error) if error != Errno::INTR) {
            break;
        }
        signals.clear();
        is_busy = descendants.reap(REAPED_AT_ONCE) == Some(REAPED_AT_ONCE);
    }
}

/// Says where the command's errors go what was found, and whether it is to end for it. Where nobody reads it is not
/// waited for.
fn tell(found: Found, stderr: &OwnedFd) -> bool {
    let (text, ends) = match found {
        Found::OverBefore(text) => {
            (format!("[{text}: delete some of it, or commands that add to it are ended]\n"), false)
        }
        Found::Over(text) => (format!("[ended: {text}]\n"), true),
    };
    let mut events = [PollFd::new(stderr, PollFlags::OUT)];
    if poll(&mut events, Some(&Timespec::default())) == Ok(1) {
        let _ = rustix::io::write(stderr, text.as_bytes());
    }
    ends
}

pub(super) fn answer(ended: Option<WaitStatus>) -> Answer {
    let Some(status) = ended else {
        return Answer::Error("the command was lost".into());
    };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Answer::Exit(code),
        (None, Some(signal)) => Answer::Signal(signal),
        (None, None) => Answer::Error(format!("the command ended with the unknown status {status:?}")),
    }
}
