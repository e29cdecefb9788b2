//! What the daemon tells a supervisor after its request: a byte for each signal that the command shall get.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, Signal, kill_process_group};

/// A signal that the command may answer to. To have all of it killed is another matter: the lifeline is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandSignal {
    /// What Ctrl-C sends.
    Interrupt,
    Terminate,
}

impl CommandSignal {
    fn byte(self) -> u8 {
        match self {
            Self::Interrupt => b'i',
            Self::Terminate => b't',
        }
    }

    fn of(byte: u8) -> Option<Signal> {
        match byte {
            b'i' => Some(Signal::INT),
            b't' => Some(Signal::TERM),
            _ => None,
        }
    }

    /// Fails where the supervisor is gone, and then the command is as well.
    pub(super) fn send(self, lifeline: impl AsFd) -> Result<(), Errno> {
        send(lifeline, &[self.byte()], SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
    }
}

/// Whether the daemon has let go of the lifeline. Takes nothing from it.
pub(super) fn is_cut(lifeline: impl AsFd) -> bool {
    !matches!(recv(lifeline, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((1.., _)) | Err(Errno::AGAIN))
}

/// What a supervisor hears, and whom it tells.
pub(super) struct Line<'a> {
    pub lifeline: &'a UnixStream,
    pub command: Target,
}

/// The command, as its supervisor knows it.
pub(super) struct Target {
    /// Not reaped yet, so that its id is nobody else's.
    pub child: Pid,
    /// Else the child is the first process of the command's namespace, and the command the first child of that.
    pub is_command: bool,
}

impl Line<'_> {
    /// Passes on what was said. False when the lifeline is cut.
    pub fn pass_on(&self) -> bool {
        let mut bytes = [0; 16];
        match recv(self.lifeline, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) => false,
            Ok((count, _)) => {
                self.command.signal(bytes.get(..count).unwrap_or_default());
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }
}

impl Target {
    /// Gives the command's group the signals that these bytes stand for: like a terminal, it reaches the command and
    /// what it has started, but nothing that has left for a session of its own.
    pub fn signal(&self, bytes: &[u8]) {
        let group = if self.is_command { Some(self.child) } else { first_child(self.child) };
        for signal in bytes.iter().copied().filter_map(CommandSignal::of) {
            let _ = group.map(|group| kill_process_group(group, signal));
        }
    }
}

/// The kernel lists children by their age.
fn first_child(of: Pid) -> Option<Pid> {
    let pid = of.as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Pid::from_raw(list.split_ascii_whitespace().next()?.parse().ok()?)
}
