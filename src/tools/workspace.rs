//! The folder that file tools are confined to. Every path a model gives is resolved here, and nowhere else.
//!
//! It takes two steps. First the file system says where the path really leads, with its symlinks and `..`, and what
//! leads out is refused. Then the place is opened from the workspace's own descriptor, folder by folder, following no
//! symlink. So a folder that is swapped for a symlink between the steps, or later, makes an error and not a way out.
//! (`openat2` would do it in one call, but it refuses absolute symlinks that lead inside, has no word for a file that
//! is yet to be made, and is missing or forbidden on some hosts: this way is the same everywhere.)

mod outputs;
mod replace;
mod together;

pub use together::Change;

use crate::core::ports::tool::ToolError;
use crate::tools::text;
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest path that is looked at, in bytes; the kernel takes no longer one either.
const MAX_PATH: usize = 4096;

/// A folder as a starting point for other names.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Neither a pipe without a writer nor a terminal may hold up or take over the daemon.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A workspace, held open: renaming it during a call changes nothing for that call.
pub struct Workspace {
    root: Arc<Path>,
    folder: OwnedFd,
}

/// A path below the workspace, relative to it and without symlinks or `..`, of something that is there or could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(PathBuf);

impl Workspace {
    /// `root` is absolute and holds no symlink, as a call's context promises. A command may have removed it since: then
    /// it is made again. If something else is in its place, no symlink is followed.
    pub fn open(root: Arc<Path>) -> Result<Self, ToolError> {
        let open = || fs::open(&*root, FOLDER, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => std::fs::create_dir_all(&root).and_then(|()| Ok(open()?)),
            result => result.map_err(io::Error::from),
        };
        match opened {
            Ok(folder) => Ok(Self { root, folder }),
            Err(error) => Err(unusable(&error)),
        }
    }

    /// Where a path leads. It may be absolute, and `~` is the workspace, as it is for commands.
    pub fn locate(&self, asked: &str) -> Result<Place, ToolError> {
        if asked.len() > MAX_PATH {
            return Err(trouble(asked, Errno::NAMETOOLONG));
        }
        if asked.contains('\0') {
            return Err(tell(format!("{} holds a NUL character, which no path can.", text::quoted(asked))));
        }
        let relative = match asked.strip_prefix('~') {
            Some("") => ".",
            Some(rest) => rest.strip_prefix('/').unwrap_or(asked),
            None => asked,
        };
        // An absolute path replaces the root.
        let path = self.root.join(relative);
        let (existing, real, error) = deepest(&path)?;
        let Ok(inside) = real.strip_prefix(&self.root) else { return Err(outside(asked)) };
        match error {
            None => Ok(Place(inside.to_owned())),
            Some(error) if error.kind() == io::ErrorKind::NotFound => {
                let missing = path.strip_prefix(existing).unwrap_or(Path::new(""));
                self.missing(asked, inside, missing)
            }
            Some(error) => Err(trouble(asked, error)),
        }
    }

    /// A place whose last folders and file do not exist.
    fn missing(&self, asked: &str, inside: &Path, missing: &Path) -> Result<Place, ToolError> {
        let mut place = inside.to_owned();
        for (depth, name) in missing.iter().enumerate() {
            if name == ".." {
                return Err(trouble(asked, Errno::NOENT));
            }
            place.push(name);
            if depth == 0 && self.root.join(&place).is_symlink() {
                let link = text::quoted(&place.to_string_lossy());
                return Err(tell(format!("{link} is a symlink that leads to nothing in the workspace.")));
            }
        }
        Ok(Place(place))
    }

    /// Opens a regular file to read.
    pub fn open_file(&self, place: &Place) -> Result<File, ToolError> {
        let (folder, name) = self.parent(place).map_err(|error| trouble(&place.to_string(), error))?;
        open_file_in(folder, name, place)
    }

    /// Whether anything is there.
    pub fn exists(&self, place: &Place) -> bool {
        let found =
            self.parent(place).and_then(|(folder, name)| fs::statat(folder, name, fs::AtFlags::SYMLINK_NOFOLLOW));
        !matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    }

    pub fn is_folder(&self, place: &Place) -> bool {
        self.folder(&place.0).is_ok()
    }

    /// Opens a folder to list it or to reach what is in it.
    pub fn open_folder(&self, place: &Place) -> Result<OwnedFd, ToolError> {
        self.folder(&place.0).map_err(|error| match error {
            Errno::NOTDIR => {
                let name = text::quoted(&place.to_string());
                tell(format!("{name} is a file, not a folder. read_file shows what is in it."))
            }
            error => trouble(&place.to_string(), error),
        })
    }

    fn folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let mut folder = fs::openat(&self.folder, ".", FOLDER, Mode::empty())?;
        for name in path {
            folder = subfolder(&folder, name)?;
        }
        Ok(folder)
    }

    /// The folder a place is in and its name there. The workspace itself has none.
    fn parent<'p>(&self, place: &'p Place) -> Result<(OwnedFd, &'p OsStr), Errno> {
        let (folder, name) = place.split().ok_or(Errno::ISDIR)?;
        Ok((self.folder(folder)?, name))
    }
}

impl Place {
    /// Something in this folder, by a name that a listing of it gave.
    pub fn child(&self, name: &OsStr) -> Self {
        Self(self.0.join(name))
    }

    /// The folder it is in; the workspace is in none.
    pub fn parent(&self) -> Option<Self> {
        self.0.parent().map(|parent| Self(parent.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn split(&self) -> Option<(&Path, &OsStr)> {
        Some((self.0.parent()?, self.0.file_name()?))
    }
}

/// The path as a model can give it back.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::path(&self.0))
    }
}

/// A folder in a folder; a symlink to one is none.
pub fn subfolder(folder: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    fs::openat(folder, name, FOLDER, Mode::empty())
}

/// Opens a regular file to read, by its name in an open folder. `place` is what it is called in an error.
pub fn open_file_in(folder: impl AsFd, name: &OsStr, place: &Place) -> Result<File, ToolError> {
    let open = || {
        let file = fs::openat(folder, name, READ, Mode::empty())?;
        Ok((FileType::from_raw_mode(fs::fstat(&file)?.st_mode), file))
    };
    match open() {
        Ok((FileType::RegularFile, file)) => Ok(file.into()),
        Ok((kind, _)) => Err(irregular(place, kind)),
        // What opening a socket gives.
        Err(Errno::NXIO) => Err(irregular(place, FileType::Socket)),
        Err(error) => Err(trouble(&place.to_string(), error)),
    }
}

/// What is in an open folder, in no order.
pub fn entries(folder: &OwnedFd) -> Result<fs::Dir, Errno> {
    fs::Dir::new(fs::openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// How much of a path exists, where that really is, and why the rest could not be reached.
fn deepest(path: &Path) -> Result<(&Path, PathBuf, Option<io::Error>), ToolError> {
    let mut error = None;
    for existing in path.ancestors() {
        match std::fs::canonicalize(existing) {
            Ok(real) => return Ok((existing, real, error)),
            // The first error says most: those of its parents are about less of the path.
            Err(reason) => error = error.or(Some(reason)),
        }
    }
    Err(outside(&path.to_string_lossy()))
}

/// What a model is told of a workspace that is no folder and cannot become one.
pub fn unusable(error: &io::Error) -> ToolError {
    tell(format!("The workspace cannot be used: {error}. A command may have put something else in its place."))
}

fn outside(asked: &str) -> ToolError {
    tell(format!(
        "{} is outside the workspace, and only the workspace can be accessed. Give a path relative to it, such as \
         `notes.txt` or `src/main.rs`; `.` is the workspace itself.",
        text::quoted(asked)
    ))
}

fn irregular(place: &Place, kind: FileType) -> ToolError {
    let place = text::quoted(&place.to_string());
    tell(match kind {
        FileType::Directory => format!("{place} is a folder, not a file. list_files shows what is in it."),
        FileType::Fifo => format!("{place} is a named pipe, not a regular file."),
        FileType::Socket => format!("{place} is a socket, not a regular file."),
        FileType::Symlink => format!("{place} has just become a symlink. Try again."),
        _ => format!("{place} is a device, not a regular file."),
    })
}

/// An error of the file system, in words that help a model on.
fn trouble(name: &str, error: impl Into<io::Error>) -> ToolError {
    use io::ErrorKind::*;
    let error = error.into();
    let name = text::quoted(name);
    tell(match error.kind() {
        NotFound => format!("{name} does not exist. list_files shows what there is."),
        PermissionDenied => format!("{name} cannot be accessed: permission denied."),
        NotADirectory => format!("{name} cannot be reached: a part of it is a file, not a folder."),
        IsADirectory => format!("{name} is a folder, not a file."),
        InvalidFilename => format!("{name} is too long a path or file name."),
        _ if Errno::from_io_error(&error) == Some(Errno::LOOP) => format!("{name} goes through too many symlinks."),
        _ => format!("{name}: {error}."),
    })
}

fn tell(text: String) -> ToolError {
    ToolError::TellModel(text)
}

#[cfg(test)]
mod tests;
