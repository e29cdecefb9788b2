//! Writing: a file is replaced in one step, and by one call at a time.

use super::{FOLDER, Place, Workspace, irregular, subfolder, tell, trouble};
use crate::core::ports::tool::ToolError;
use crate::tools::text;
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Locks for all files: a fixed number, so that nothing grows. Two files that share one only wait for each other.
static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// What a new folder and file may be for the daemon's umask to take from.
const NEW_FOLDER: Mode = Mode::from_raw_mode(0o777);
const NEW_FILE: Mode = Mode::from_raw_mode(0o666);

/// A file under a name of its own until it takes the place of the one it is for.
pub(super) struct Draft<'f> {
    folder: &'f OwnedFd,
    name: String,
    file: File,
}

impl Workspace {
    /// Held from reading a file until it is replaced, so that parallel calls do not undo each other's change.
    pub fn lock(&self, place: &Place) -> Vec<MutexGuard<'static, ()>> {
        self.lock_all([place])
    }

    /// The same for several files, always in the same order, so that no two calls wait for each other.
    pub fn lock_all<'p>(&self, places: impl IntoIterator<Item = &'p Place>) -> Vec<MutexGuard<'static, ()>> {
        let number = |place: &Place| {
            let mut hasher = DefaultHasher::new();
            (&self.root, &place.0).hash(&mut hasher);
            hasher.finish() as usize % LOCKS.len()
        };
        let numbers: BTreeSet<usize> = places.into_iter().map(number).collect();
        // A panic leaves nothing half done, as files are replaced in one step.
        let lock = |lock: &'static Mutex<()>| lock.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.into_iter().filter_map(|number| LOCKS.get(number)).map(lock).collect()
    }

    /// Puts `content` in the place of a file, or makes one, with the folders it is in. Others see the old or the new
    /// content and never a part. Owner and permissions stay; hard links to the old file keep the old content. Gives
    /// the old size.
    pub fn replace(&self, place: &Place, content: &[u8]) -> Result<Option<u64>, ToolError> {
        let name = place.to_string();
        let Some((folder, file)) = place.split() else { return Err(irregular(place, FileType::Directory)) };
        let write = || {
            let folder = self.make_folders(folder)?;
            let old = match replaceable(&folder, file, place)? {
                Ok(old) => old,
                Err(error) => return Ok(Err(error)),
            };
            match self.draft(&folder, content, old.as_ref(), &name)? {
                Ok(draft) => draft.publish(file)?,
                Err(error) => return Ok(Err(error)),
            }
            Ok(Ok(old.map(|old| old.st_size.unsigned_abs())))
        };
        write().unwrap_or_else(|error: std::io::Error| Err(trouble(&name, error)))
    }

    /// The folder at a path, made where it is missing.
    pub(super) fn make_folders(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let mut folder = fs::openat(&self.folder, ".", FOLDER, Mode::empty())?;
        for name in path {
            folder = match subfolder(&folder, name) {
                Err(Errno::NOENT) => {
                    let made = make_folder(&folder, name)?;
                    self.give(&made)?;
                    made
                }
                result => result?,
            };
        }
        Ok(folder)
    }

    /// A draft with all that shall be in it, which looks like the old file.
    pub(super) fn draft<'f>(
        &self,
        folder: &'f OwnedFd,
        content: &[u8],
        old: Option<&Stat>,
        name: &str,
    ) -> std::io::Result<Result<Draft<'f>, ToolError>> {
        let mut draft = Draft::new(folder)?;
        match old {
            Some(old) if draft.take_after(old).is_err() => return Ok(Err(foreign(name))),
            Some(_) => {}
            None => self.give(&draft.file)?,
        }
        draft.file.write_all(content)?;
        Ok(Ok(draft))
    }

    /// Gives what this call has made to whom the workspace belongs, so that commands can go on with it: those of a
    /// daemon that is root run as somebody else.
    pub(super) fn give(&self, made: impl AsFd) -> Result<(), Errno> {
        let (workspace, stat) = (fs::fstat(&self.folder)?, fs::fstat(&made)?);
        if !geteuid().is_root() || stat.st_uid != Uid::ROOT.as_raw() || workspace.st_uid == stat.st_uid {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(workspace.st_uid), Gid::from_raw(workspace.st_gid));
        fs::chownat(made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
    }
}

/// What is there of a file that is to be replaced, if it may be.
pub(super) fn replaceable(
    folder: &OwnedFd,
    file: &OsStr,
    place: &Place,
) -> Result<Result<Option<Stat>, ToolError>, Errno> {
    let old = match fs::statat(folder, file, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(old) => old,
        Err(Errno::NOENT) => return Ok(Ok(None)),
        Err(error) => return Err(error),
    };
    Ok(match FileType::from_raw_mode(old.st_mode) {
        FileType::RegularFile if !Mode::from_raw_mode(old.st_mode).intersects(Mode::from_raw_mode(0o222)) => {
            Err(read_only(&place.to_string()))
        }
        FileType::RegularFile => Ok(Some(old)),
        kind => Err(irregular(place, kind)),
    })
}

fn make_folder(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    match fs::mkdirat(folder, name, NEW_FOLDER) {
        // A parallel call may have made it first.
        Ok(()) | Err(Errno::EXIST) => subfolder(folder, name),
        Err(error) => Err(error),
    }
}

impl<'f> Draft<'f> {
    fn new(folder: &'f OwnedFd) -> Result<Self, Errno> {
        let name = format!(".nuncio-{}.tmp", Uuid::now_v7().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(fs::openat(folder, &name, flags, NEW_FILE)?);
        Ok(Self { folder, name, file })
    }

    /// Gives it the owner and the permissions of the old file, before there is anything in it to read. Not its setuid
    /// and setgid bits: what a model writes shall not run as somebody else.
    fn take_after(&self, old: &Stat) -> Result<(), Errno> {
        let new = fs::fstat(&self.file)?;
        let owner = (new.st_uid != old.st_uid).then(|| Uid::from_raw(old.st_uid));
        let group = (new.st_gid != old.st_gid).then(|| Gid::from_raw(old.st_gid));
        if owner.is_some() || group.is_some() {
            fs::fchown(&self.file, owner, group)?;
        }
        fs::fchmod(&self.file, Mode::from_raw_mode(old.st_mode) & NEW_FOLDER)
    }

    /// Gives it its name where there is no file of that name.
    pub(super) fn publish_new(self, name: &OsStr) -> Result<(), Errno> {
        fs::linkat(self.folder, &self.name, self.folder, name, AtFlags::empty())
    }

    pub(super) fn publish(self, name: &OsStr) -> Result<(), Errno> {
        fs::renameat(self.folder, &self.name, self.folder, name)
    }
}

/// Nothing is left of a draft that came to nothing. After `publish` there is no file of its name to remove.
impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let _ = fs::unlinkat(self.folder, &self.name, AtFlags::empty());
    }
}

fn foreign(name: &str) -> ToolError {
    tell(format!(
        "{} belongs to another user or group, and replacing it would take it away from them. If it shall be changed, \
         do it with a command.",
        text::quoted(name)
    ))
}

fn read_only(name: &str) -> ToolError {
    tell(format!("{} is read-only. If it shall be changed, make it writable first (chmod u+w).", text::quoted(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_comes_to_nothing_leaves_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let folder = OwnedFd::from(File::open(temp.path()).unwrap());
        std::fs::create_dir_all(temp.path().join("taken/by a folder")).unwrap();
        let draft = Draft::new(&folder).unwrap();
        assert_eq!(temp.path().read_dir().unwrap().count(), 2);
        draft.publish(OsStr::new("taken")).unwrap_err();
        assert_eq!(temp.path().read_dir().unwrap().count(), 1);
    }
}
