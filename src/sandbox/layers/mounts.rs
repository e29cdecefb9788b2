//! A file system with nothing in it but what may be reached: a root of its own, in a mount namespace of its own.
//!
//! Landlock guards the same. This holds where Landlock does not look: sockets with a path, the names and sizes of files
//! that cannot be read. And it lets another user reach a workspace below a folder that is closed to them.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, mount_change,
    move_mount, open_tree, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root, umask};

use super::system::{self, Step};
use super::{Refusal, at};
use crate::sandbox::policy::{Layer, Policy};

/// Where the new root is put together. It has to be there, and is covered for the time.
const BASE: &str = "/usr";

/// The root itself holds folders and links only.
const ROOT_OPTIONS: &CStr = c"mode=0755,size=1m,nr_inodes=4096";

/// Folders of the view's own that can be written: shared memory has to be somewhere.
pub const OWN_FOLDERS: &[&str] = &["/dev/shm"];
const SHARED_MEMORY: &str = "256m";

/// Terminals of the view's own.
pub const OWN_DEVICES: &[&str] = &["/dev/pts"];

/// Where the private folder for temporary files is seen.
pub const TMP: &str = "/tmp";

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const WRITABLE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// A mount that is in no place yet.
struct Piece {
    target: PathBuf,
    tree: OwnedFd,
    is_folder: bool,
}

/// What is put together.
struct View {
    links: Vec<(PathBuf, PathBuf)>,
    pieces: Vec<Piece>,
}

/// A `/proc` that shows the processes of this namespace, in an otherwise unchanged file system.
pub fn own_proc() -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", "/proc", "proc", flags, None)?)
}

/// Makes the new root this process's own. Of the old one nothing can be reached after it.
pub fn own_view(policy: &Policy, workspace: &Path, tmp: Option<&Path>, own_proc: bool) -> Result<(), Refusal> {
    let fault = |error: io::Error| at(Layer::View, error);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| fault(error.into()))?;
    let mut view = View::of(policy, workspace, tmp).map_err(fault)?;
    view.pieces.push(match own_proc {
        true => own("/proc", "proc", &[]).map_err(|error| at(Layer::Processes, error))?,
        false => {
            let tree = tree_of(Path::new("/proc"), READ_ONLY).map_err(fault)?;
            Piece { target: "/proc".into(), tree, is_folder: true }
        }
    });
    let before = umask(Mode::from_raw_mode(0o022));
    let entered = view.enter();
    umask(before);
    entered.map_err(fault)
}

impl View {
    fn of(policy: &Policy, workspace: &Path, tmp: Option<&Path>) -> io::Result<Self> {
        let mut view = Self { links: Vec::new(), pieces: Vec::new() };
        for path in system::readable().iter().chain(&policy.read) {
            view.add(path, READ_ONLY)?;
        }
        for path in &policy.write {
            view.add(path, WRITABLE)?;
        }
        for path in system::DEVICES {
            view.add(Path::new(path), DEVICE)?;
        }
        view.pieces.push(match tmp {
            Some(tmp) => Piece { target: TMP.into(), tree: tree_of(tmp, WRITABLE)?, is_folder: true },
            None => own(TMP, "tmpfs", &[("mode", "1777"), ("size", &policy.limits.file_size.to_string())])?,
        });
        view.pieces.push(own("/dev/shm", "tmpfs", &[("mode", "1777"), ("size", SHARED_MEMORY)])?);
        view.pieces.push(own("/dev/pts", "devpts", &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")])?);
        view.pieces.push(Piece { target: workspace.into(), tree: tree_of(workspace, WRITABLE)?, is_folder: true });
        for (link, target) in [
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
            ("/dev/ptmx", "pts/ptmx"),
            ("/var/tmp", TMP),
        ] {
            view.links.push((link.into(), target.into()));
        }
        Ok(view)
    }

    fn add(&mut self, path: &Path, attributes: u64) -> io::Result<()> {
        for step in system::way_to(path) {
            match step {
                Step::Link(link, target) => self.links.push((link, target)),
                Step::End(path) => {
                    let is_folder = path.is_dir();
                    let tree = tree_of(&path, attributes)?;
                    self.pieces.push(Piece { target: path, tree, is_folder });
                }
            }
        }
        Ok(())
    }

    fn enter(mut self) -> io::Result<()> {
        // What is further up comes first, as the rest is put into it.
        self.pieces.sort_by_key(|piece| piece.target.components().count());
        mount("tmpfs", BASE, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, ROOT_OPTIONS)?;
        let root = fs::open(BASE, FOLDER, Mode::empty())?;
        for (link, target) in &self.links {
            let inside = self.pieces.iter().any(|piece| link.starts_with(&piece.target));
            if !inside && let Some((folder, name)) = link.parent().zip(link.file_name()) {
                match fs::symlinkat(target, make_folders(&root, folder)?, name) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        for piece in &self.pieces {
            let place = place_for(&root, piece)?;
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            move_mount(&piece.tree, "", &place, "", flags)?;
        }
        fchdir(&root)?;
        // The old root comes to lie on the new one, and is taken off.
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        Ok(chdir("/")?)
    }
}

/// A copy of what is mounted at a path, in no place yet.
fn tree_of(path: &Path, attributes: u64) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = open_tree(CWD, path, flags).map_err(|error| about(path, error.into()))?;
    set_attributes(&tree, attributes).map_err(|error| about(path, error))?;
    Ok(tree)
}

fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn set_attributes(tree: &OwnedFd, attributes: u64) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path and the attributes outlive the call, and their size is said.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A new file system, in no place yet.
fn own(target: &str, kind: &str, options: &[(&str, &str)]) -> io::Result<Piece> {
    let made = || {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (name, value) in options {
            match value.is_empty() {
                true => fsconfig_set_flag(&context, *name)?,
                false => fsconfig_set_string(&context, *name, *value)?,
            }
        }
        fsconfig_create(&context)?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        if kind == "tmpfs" {
            attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        }
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    let tree = made().map_err(|error| about(Path::new(target), error.into()))?;
    Ok(Piece { target: target.into(), tree, is_folder: true })
}

/// An empty folder or file to mount on. What is there already is taken, as long as it is no symlink: an earlier command
/// may have made one, and it would lead into the old root.
fn place_for(root: &OwnedFd, piece: &Piece) -> io::Result<OwnedFd> {
    if piece.is_folder {
        return make_folders(root, &piece.target);
    }
    let Some((folder, name)) = piece.target.parent().zip(piece.target.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = make_folders(root, folder)?;
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match fs::openat(&folder, name, flags, Mode::from_raw_mode(0o444)) {
        Ok(_) | Err(Errno::ROFS | Errno::ACCESS | Errno::NXIO) => {}
        Err(error) => return Err(about(&piece.target, error.into())),
    }
    Ok(fs::openat(&folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

fn make_folders(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut folder = fs::openat(root.as_fd(), ".", FOLDER, Mode::empty())?;
    for name in path.strip_prefix("/").unwrap_or(path) {
        folder = match fs::openat(&folder, name, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) => {
                fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)).map_err(|error| about(path, error.into()))?;
                fs::openat(&folder, name, FOLDER, Mode::empty())
            }
            opened => opened,
        }
        .map_err(|error| about(path, error.into()))?;
    }
    Ok(folder)
}
