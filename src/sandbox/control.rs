//! What the daemon tells a supervisor after its request: a byte for each signal that the command shall get.

use std::os::fd::AsFd;

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

/// Passes on what there is to the group of the command, which must not have been reaped yet: like a terminal, it
/// reaches the command and what it has started, but nothing that has left for a session of its own. False when the
/// lifeline is cut.
pub(super) fn pass_on(lifeline: impl AsFd, command: Pid) -> bool {
    let mut bytes = [0; 16];
    match recv(lifeline, &mut bytes, RecvFlags::DONTWAIT) {
        Ok((0, _)) => false,
        Ok((count, _)) => {
            signal(bytes.get(..count).unwrap_or_default(), command);
            true
        }
        Err(Errno::AGAIN | Errno::INTR) => true,
        Err(_) => false,
    }
}

/// Gives the command the signals that these bytes stand for.
pub(super) fn signal(bytes: &[u8], command: Pid) {
    for signal in bytes.iter().copied().filter_map(CommandSignal::of) {
        let _ = kill_process_group(command, signal);
    }
}
