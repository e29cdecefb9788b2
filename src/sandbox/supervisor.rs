//! The re-exec'd side: a process that starts one command, and ends when nothing of it is left.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, ExitCode};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitStatus, getpid, getppid, set_child_subreaper, set_parent_process_death_signal, setsid,
};

use super::Command;
use super::control;
use super::descendants::Descendants;
use super::lock;
use super::protocol::{self, Answer, Request, STREAMS};
use super::signals::{self, ChildSignals};

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
    let Some((Request { command, lock }, streams, said_after)) = protocol::receive_request(&lifeline)? else {
        return Ok(());
    };
    let _lock = lock.as_deref().map(lock::hold).transpose()?;
    // Whoever has waited for the lock takes it that the commands of this daemon are gone, if it is gone itself.
    if control::is_cut(&lifeline) {
        return Ok(());
    }
    let answer = match start(&command, streams) {
        Ok(pid) => {
            let mut descendants = Descendants::of(pid);
            control::signal(&said_after, pid);
            watch(&lifeline, pid, &mut descendants, &signals);
            descendants.kill(&signals);
            answer(descendants.ended)
        }
        Err(error) => Answer::Error(error),
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

fn start(command: &Command, [stdin, stdout, stderr]: [OwnedFd; STREAMS]) -> Result<Pid, String> {
    let Command { program, args, cwd, env } = command;
    // Else it would be indistinguishable from a program that is not there.
    if !cwd.is_dir() {
        return Err(format!("cannot run {program}: the working directory {} is not there", cwd.display()));
    }
    let supervisor = getpid();
    #[expect(clippy::disallowed_methods, reason = "this is the supervisor")]
    let mut process = process::Command::new(program);
    process.args(args).current_dir(cwd).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    process.stdin(stdin).stdout(stdout).stderr(stderr);
    // SAFETY: this process has one thread, so nothing is locked or half done in the forked child.
    unsafe { process.pre_exec(move || enter(supervisor)) };
    let child = process.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
    Ok(Pid::from_child(&child))
}

/// The layers around the command, put on between fork and exec. Their order matters: each may take away the
/// right to put on an earlier one.
fn enter(supervisor: Pid) -> io::Result<()> {
    // A session of its own, so that `kill 0` or `pkill -s 0` in a script does not mean the supervisor.
    setsid()?;
    signals::reset();
    // Here: user and capabilities, rlimits, namespaces, no_new_privs, Landlock, seccomp.
    // A change of user clears the death signal, hence after it. It is the last line, for a supervisor that
    // was itself killed, and reaches the command only.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match getppid() {
        Some(parent) if parent == supervisor => Ok(()),
        _ => Err(io::Error::other("the supervisor is gone")),
    }
}

/// Returns when the command has ended or the lifeline was cut.
fn watch(lifeline: &UnixStream, command: Pid, descendants: &mut Descendants, signals: &ChildSignals) {
    let now = Timespec::default();
    let mut timeout = None;
    while descendants.ended.is_none() {
        let mut events = [PollFd::new(lifeline, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        let waited = poll(&mut events, timeout);
        let [spoken, _] = events.map(|event| !event.revents().is_empty());
        let cut = spoken && !control::pass_on(lifeline, command);
        if cut || matches!(waited, Err(error) if error != Errno::INTR) {
            break;
        }
        signals.clear();
        timeout = (descendants.reap(REAPED_AT_ONCE) == Some(REAPED_AT_ONCE)).then_some(&now);
    }
}

fn answer(ended: Option<WaitStatus>) -> Answer {
    let Some(status) = ended else {
        return Answer::Error("the command was lost".into());
    };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Answer::Exit(code),
        (None, Some(signal)) => Answer::Signal(signal),
        (None, None) => Answer::Error(format!("the command ended with the unknown status {status:?}")),
    }
}
