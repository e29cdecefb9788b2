//! The signals of a supervisor and its command, as neither std nor rustix can set them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The size of one record that a signalfd yields.
const RECORD: usize = size_of::<libc::signalfd_siginfo>();

/// Becomes readable when a child has ended.
pub(super) struct ChildSignals(OwnedFd);

impl ChildSignals {
    /// Blocks every signal that can be blocked and makes SIGCHLD readable.
    ///
    /// Nothing but SIGKILL shall end a supervisor before its command: a service manager may well send SIGTERM
    /// to all of us, and who dies then is for the daemon to say.
    pub(super) fn listen() -> io::Result<Self> {
        let mut all = MaybeUninit::uninit();
        let mut child = MaybeUninit::uninit();
        // SAFETY: each set is filled or emptied, that is initialised, before it is used, and none outlives
        // the block; signalfd returns a new descriptor that nobody else owns.
        unsafe {
            // If the daemon was started with it ignored, the kernel would swallow how children ended.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            libc::sigfillset(all.as_mut_ptr());
            libc::sigemptyset(child.as_mut_ptr());
            libc::sigaddset(child.as_mut_ptr(), libc::SIGCHLD);
            if libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::signalfd(-1, child.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                descriptor => Ok(Self(OwnedFd::from_raw_fd(descriptor))),
            }
        }
    }

    /// Takes what is readable, so that the next wait is for the next child. (Equal signals are merged, so
    /// there is never more than one record.)
    pub(super) fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; RECORD]);
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Undoes [`ChildSignals::listen`] for the command, and whatever else this process and the daemon did to
/// signals: what is blocked or ignored (SIGPIPE in Rust, SIGHUP under nohup) stays so across exec.
pub(super) fn reset() {
    let mut none = MaybeUninit::uninit();
    // SAFETY: the set is emptied, that is initialised, before it is used. Signals that cannot be set are
    // refused, and the handlers that go are those of a process that is about to be replaced.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
