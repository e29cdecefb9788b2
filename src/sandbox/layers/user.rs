//! Who the command runs as, and what is given to them: the workspace, and the pipes it was started with.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::process::geteuid;

use crate::sandbox::policy::UserIds;

/// A folder as itself: what is a symlink is none.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Folders of the system, which stay root's whoever names them as a workspace. So does every folder directly below the
/// root, such as `/srv`.
const OF_THE_SYSTEM: [&str; 9] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr"];

/// Gives a folder to the user if it is root's. What belongs to somebody else was put there by the operator, who can
/// choose whether the agent shall have it.
pub fn give_folder(path: &Path, user: UserIds) -> io::Result<()> {
    let folder = fs::open(path, FOLDER, Mode::empty())?;
    let stat = fs::fstat(&folder)?;
    let is_shared = Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX);
    if stat.st_uid != Uid::ROOT.as_raw() || !geteuid().is_root() || is_shared || is_of_the_system(path) {
        return Ok(());
    }
    let (uid, gid) = ids(user);
    Ok(fs::chownat(&folder, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

fn is_of_the_system(path: &Path) -> bool {
    // The root counts as a part.
    path.components().count() < 3 || OF_THE_SYSTEM.iter().any(|folder| path.starts_with(folder))
}

/// Lets the user open `/dev/stdout` anew, which a pipe of root's refuses to others.
pub fn give_pipe(stream: impl AsFd, user: UserIds) -> io::Result<()> {
    let stat = fs::fstat(&stream)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo && geteuid().is_root() {
        let (uid, gid) = ids(user);
        fs::fchown(&stream, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Makes a folder that only the user can look into.
pub fn private_folder(path: &Path, user: Option<UserIds>) -> io::Result<()> {
    match fs::mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => user.map_or(Ok(()), |user| give_folder(path, user)),
        Err(error) => Err(error.into()),
    }
}

/// Becomes the user, for good: real, effective and saved ids, and no groups but one.
pub fn become_user(UserIds { uid, gid }: UserIds) -> io::Result<()> {
    // SAFETY: plain system calls. The raw ones change this thread alone, and it is the only one.
    let results = unsafe {
        [
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()),
            libc::syscall(libc::SYS_setresgid, gid, gid, gid),
            libc::syscall(libc::SYS_setresuid, uid, uid, uid),
        ]
    };
    if results == [0; 3] { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn ids(user: UserIds) -> (Uid, Gid) {
    (Uid::from_raw(user.uid), Gid::from_raw(user.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_not_given_away() {
        let kept = ["/", "/srv", "/etc", "/usr/local/share", "/proc/1"];
        assert!(kept.iter().all(|path| is_of_the_system(Path::new(path))));
        let given = ["/srv/project", "/var/lib/nuncio/workspaces/a", "/root/.local", "/etcetera/x"];
        assert!(!given.iter().any(|path| is_of_the_system(Path::new(path))));
    }
}
