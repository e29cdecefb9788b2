//! The first process of the command's namespaces: it makes them what they shall be, starts the command, and waits for
//! it. When it ends, the kernel kills whatever is left in its process namespace.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process;

use libc::c_int;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, geteuid, set_dumpable_behavior,
    set_parent_process_death_signal, wait, waitpid,
};
use serde::{Deserialize, Serialize};

use super::layers::group::Group;
use super::layers::{Refusal, at, mounts, namespaces};
use super::policy::Layer;
use super::protocol::{self, Answer, STREAMS};
use super::start::{Attempt, join};

/// What the first process tells the supervisor, in lines.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Started,
    Refused(Refusal),
    Ended(Answer),
}

/// Starts the command in namespaces. `first` is the layer to name if there can be none.
pub(super) fn start(
    attempt: &Attempt<'_>,
    first: Layer,
    streams: &[OwnedFd; STREAMS],
) -> Result<(Pid, Option<PipeReader>), Refusal> {
    let mut wanted = libc::CLONE_NEWIPC;
    for (layer, flag) in [
        (Layer::View, libc::CLONE_NEWNS),
        (Layer::Processes, libc::CLONE_NEWPID | libc::CLONE_NEWNS),
        (Layer::Network, libc::CLONE_NEWNET),
    ] {
        if attempt.has(layer) && !(layer == Layer::Network && attempt.in_network) {
            wanted |= flag;
        }
    }
    // With users of its own the rights over the namespaces are over these alone. Root can do without.
    if attempt.own_users {
        return begin(attempt, first, wanted, streams);
    }
    match begin(attempt, first, wanted | libc::CLONE_NEWUSER, streams) {
        Err(Refusal::Layer(..)) if geteuid().is_root() => begin(attempt, first, wanted, streams),
        result => result,
    }
}

fn begin(
    attempt: &Attempt<'_>,
    first: Layer,
    flags: c_int,
    streams: &[OwnedFd; STREAMS],
) -> Result<(Pid, Option<PipeReader>), Refusal> {
    let fault = |error: io::Error| at(first, format!("there are no namespaces to be had: {error}"));
    let (released, release) = io::pipe().map_err(fault)?;
    let (report, reporter) = io::pipe().map_err(fault)?;
    let new_users = flags & libc::CLONE_NEWUSER != 0;
    // SAFETY: this process has one thread.
    let Some(child) = unsafe { namespaces::fork(flags) }.map_err(fault)? else {
        drop((release, report));
        run(attempt, new_users || attempt.own_users, released, reporter, streams);
    };
    drop((released, reporter));
    let mapped = if new_users { namespaces::map_users(child, attempt.policy.user) } else { Ok(()) };
    let told = match mapped.and_then(|()| { release }.write_all(b".")) {
        Ok(()) => next(&mut BufReader::with_capacity(1, &report)),
        Err(error) => Err(error),
    };
    match told {
        Ok(Report::Started) => Ok((child, Some(report))),
        told => {
            // It has nothing left to do but to end.
            drop(report);
            let _ = rustix::process::kill_process(child, Signal::KILL);
            while matches!(waitpid(Some(child), WaitOptions::empty()), Err(Errno::INTR)) {}
            match told {
                Ok(Report::Refused(refusal)) => Err(refusal),
                Ok(_) => Err(fault(io::ErrorKind::InvalidData.into())),
                Err(error) => Err(fault(error)),
            }
        }
    }
}

/// How the command ended, as its first process has told.
pub(super) fn ended(report: PipeReader) -> Option<Answer> {
    match next(&mut BufReader::new(report)) {
        Ok(Report::Ended(answer)) => Some(answer),
        _ => None,
    }
}

fn next(report: &mut impl BufRead) -> io::Result<Report> {
    let mut line = Vec::new();
    report.read_until(b'\n', &mut line)?;
    protocol::decode(&line)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The life of the first process.
fn run(
    attempt: &Attempt<'_>,
    own_users: bool,
    mut released: PipeReader,
    mut reporter: PipeWriter,
    streams: &[OwnedFd; STREAMS],
) -> ! {
    let mut tell = |report: &Report| {
        let _ = protocol::encode(report).and_then(|line| reporter.write_all(&line));
    };
    let started = set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)
        // It ends without a byte when the supervisor has gone.
        .and_then(|()| released.read_exact(&mut [0]))
        .and_then(|()| leave_lifeline())
        // It has the rights over the namespaces, and the command may be the same user.
        .and_then(|()| Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?))
        .map_err(|error| Refusal::Command(error.to_string()))
        .and_then(|()| join(&mut attempt.group.map(Group::door)))
        .and_then(|()| enter(attempt))
        .and_then(|in_view| {
            let Attempt { policy, broken, command, ref tmp, in_network, .. } = *attempt;
            Attempt { policy, broken, command, tmp: tmp.clone(), group: None, in_network, own_users, in_view }
                .spawn(streams)
        });
    match started {
        Ok(command) => {
            // Whoever reads them hears the end of the command, not that of this process.
            for stream in streams {
                // SAFETY: this process ends without dropping them.
                unsafe { rustix::io::close(stream.as_raw_fd()) };
            }
            tell(&Report::Started);
            tell(&Report::Ended(super::supervisor::answer(wait_for(command))));
        }
        Err(refusal) => tell(&Report::Refused(refusal)),
    }
    process::exit(0)
}

/// The supervisor's standard input is its lifeline, and whoever holds it seems to be the supervisor.
fn leave_lifeline() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::stdio::dup2_stdin(&null)?)
}

/// Makes the namespaces what they shall be, and says whether the view is this process's own now.
fn enter(attempt: &Attempt<'_>) -> Result<bool, Refusal> {
    if attempt.has(Layer::Network) && !attempt.in_network {
        namespaces::loopback_up().map_err(|error| at(Layer::Network, error))?;
    }
    let own_proc = attempt.has(Layer::Processes);
    if attempt.has(Layer::View) {
        mounts::own_view(attempt.policy, &attempt.command.cwd, attempt.tmp.as_deref(), own_proc)?;
        return Ok(true);
    }
    if own_proc {
        mounts::own_proc().map_err(|error| at(Layer::Processes, error))?;
    }
    Ok(false)
}

/// Collects whatever ends, as is the duty of a first process, until the command has.
fn wait_for(command: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => return Some(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}
