//! Namespaces: a process that begins in its own, and the user ids that are known in them.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::{c_int, c_long};
use rustix::process::{Pid, getegid, geteuid};

use crate::sandbox::policy::UserIds;

/// Makes a child of this process, in namespaces of its own. In the child it returns `None`.
///
/// # Safety
///
/// As with `fork`: this process has one thread.
pub unsafe fn fork(namespaces: c_int) -> io::Result<Option<Pid>> {
    let flags = c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: with neither a stack nor a place for ids it does as `fork` does; the order of these, which not all
    // machines share, makes no difference. What libc knows of its threads is right again after the child's own fork.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        0 => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(i32::try_from(pid).ok().and_then(Pid::from_raw)),
    }
}

/// Says which users there are in the user namespace of a child: root and who the command runs as, or this user alone.
/// Everybody else is shown there as nobody.
pub fn map_users(child: Pid, user: Option<UserIds>) -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let map = |own: u32, other: Option<u32>| match other {
        Some(other) if other != own => format!("{own} {own} 1\n{other} {other} 1\n"),
        _ => format!("{own} {own} 1\n"),
    };
    let write = |file: &str, text: &str| fs::write(format!("/proc/{}/{file}", child.as_raw_nonzero()), text);
    if user.is_none() {
        // Who may not change groups outside could else leave one, and with it what the group is forbidden.
        write("setgroups", "deny")?;
    }
    write("gid_map", &map(gid, user.map(|user| user.gid)))?;
    write("uid_map", &map(uid, user.map(|user| user.uid)))
}

/// The same for a process that has just gone into a user namespace of its own; these are the ids that it had before.
pub fn map_self(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1\n"))?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1\n"))
}

/// Switches the loopback of this network namespace on.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: the request is zeroed, its name is set and ends with a zero, and it outlives both calls; the socket is
    // owned by nobody else.
    unsafe {
        let socket = match libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) {
            -1 => return Err(io::Error::last_os_error()),
            socket => OwnedFd::from_raw_fd(socket),
        };
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        match libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}
