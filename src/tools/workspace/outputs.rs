//! Files for output that is too long to be shown: in a folder of their own that git and searches leave out.

use super::{FOLDER, Place, Workspace, entries, subfolder};
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use uuid::Uuid;

/// Where they are, in the workspace.
const FOLDERS: [&str; 2] = [".nuncio", "output"];

/// Files kept, the last ones.
const MAX_FILES: usize = 16;

/// Names looked at: what a command has put there itself is not for us to clear away.
const MAX_NAMES: usize = 10_000;

const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Workspace {
    /// A new file, that belongs to whom the workspace belongs to. The oldest is removed where there are too many.
    pub fn new_output(&self) -> Result<(File, Place), Errno> {
        let mut folder = fs::openat(&self.folder, ".", FOLDER, Mode::empty())?;
        for (depth, name) in FOLDERS.into_iter().enumerate() {
            let made = match fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error),
            };
            // A symlink that a command has put here is not followed.
            folder = subfolder(&folder, OsStr::new(name))?;
            if made {
                self.give(&folder)?;
            }
            if made && depth == 0 {
                let _ = self.write_new(&folder, ".gitignore").map(|mut file| file.write_all(b"*\n"));
            }
        }
        prune(&folder)?;
        let name = name();
        let file = self.write_new(&folder, &name)?;
        Ok((file, Place(FOLDERS.iter().collect::<PathBuf>().join(name))))
    }

    fn write_new(&self, folder: &OwnedFd, name: &str) -> Result<File, Errno> {
        let file = fs::openat(folder, name, NEW, Mode::from_raw_mode(0o666))?;
        self.give(&file)?;
        Ok(file.into())
    }
}

/// Names that sort by their time.
fn name() -> String {
    let id = Uuid::now_v7().simple().to_string();
    let (time, chance) = (id.get(..12).unwrap_or_default(), id.get(28..).unwrap_or_default());
    format!("{time}-{chance}.txt")
}

fn is_name(name: &str) -> bool {
    name.len() == 21 && name.ends_with(".txt") && name.as_bytes().get(12) == Some(&b'-')
}

/// Makes room for one more.
fn prune(folder: &OwnedFd) -> Result<(), Errno> {
    let names = entries(folder)?.take(MAX_NAMES).flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
        .filter(|name| is_name(name))
        .collect();
    names.sort_unstable();
    let excess = (names.len().saturating_add(1)).saturating_sub(MAX_FILES);
    for name in names.iter().take(excess) {
        let _ = fs::unlinkat(folder, name, AtFlags::empty());
    }
    Ok(())
}
