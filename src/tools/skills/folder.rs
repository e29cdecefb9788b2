//! The folder of a skill: what is in it, and nothing else, can be read. It takes the two steps of the workspace: first the
//! file system says where a path leads, then it is opened from the folder on, following no symlink.

use super::{INSTRUCTIONS, Skill, front_matter};
use crate::core::ports::tool::ToolError;
use crate::tools::text;
use crate::tools::workspace::{entries, subfolder};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Bytes of a file that is shown.
const MAX_FILE: u64 = 4 << 20;

/// How many files are listed, and how deep.
const MAX_FILES: usize = 200;
const MAX_DEPTH: usize = 6;

/// Folders of no use to a model, which may be large.
const SKIPPED: &[&str] = &[".git", "__pycache__", "node_modules"];

/// Neither a pipe without a writer nor a terminal may hold up or take over the daemon.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A skill's folder, held open.
pub struct SkillFolder<'a> {
    path: &'a Path,
    folder: OwnedFd,
}

impl<'a> SkillFolder<'a> {
    pub fn open(skill: &'a Skill) -> Result<Self, ToolError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let gone = |error| tell(format!("The skill's folder cannot be opened: {}.", io::Error::from(error)));
        let folder = open(&skill.folder, flags, Mode::empty()).map_err(gone)?;
        Ok(Self { path: &skill.folder, folder })
    }

    /// The instructions, without what they say of themselves.
    pub fn instructions(&self) -> Result<String, ToolError> {
        let text = self.text(INSTRUCTIONS)?;
        Ok(front_matter::split(&text).map_or(text.as_str(), |(_, body)| body).trim().to_owned())
    }

    /// The text of a file, by its path in the folder.
    pub fn text(&self, asked: &str) -> Result<String, ToolError> {
        let name = text::quoted(asked);
        let mut bytes = Vec::new();
        let file = self.file(asked)?;
        file.take(MAX_FILE.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| tell(format!("{name} cannot be read: {error}.")))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(tell(format!(
                "{name} is larger than {}, too large to be shown.",
                text::count(MAX_FILE, "byte")
            )));
        }
        if bytes.contains(&0) {
            return Err(tell(format!("{name} is binary, and only text can be shown.")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn file(&self, asked: &str) -> Result<File, ToolError> {
        let name = text::quoted(asked);
        let missing = |error: io::Error| {
            let hint = "`skill` without `file` lists what there is";
            tell(format!("{name} cannot be read: {error}. {hint}."))
        };
        if asked.contains('\0') {
            return Err(missing(io::ErrorKind::InvalidInput.into()));
        }
        let real = self.path.join(asked).canonicalize().map_err(missing)?;
        let Ok(inside) = real.strip_prefix(self.path) else {
            return Err(tell(format!("{name} is outside the skill's folder. Give a path relative to that.")));
        };
        let opened = self.open_inside(inside).map_err(missing)?;
        let kind = FileType::from_raw_mode(fstat(&opened).map_err(|error| missing(error.into()))?.st_mode);
        match kind {
            FileType::RegularFile => Ok(opened.into()),
            FileType::Directory => Err(tell(format!("{name} is a folder, not a file."))),
            _ => Err(tell(format!("{name} is no regular file."))),
        }
    }

    fn open_inside(&self, inside: &Path) -> io::Result<OwnedFd> {
        let mut folder = openat(&self.folder, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        for name in inside.parent().unwrap_or(Path::new("")) {
            folder = subfolder(&folder, name)?;
        }
        Ok(openat(&folder, inside.file_name().unwrap_or(OsStr::new(".")), READ, Mode::empty())?)
    }

    /// The files beside the instructions, by their paths in the folder, and whether these are all.
    pub fn files(&self) -> (Vec<String>, bool) {
        let mut listing = Listing { files: Vec::new(), is_whole: true };
        listing.add(&self.folder, Path::new(""), 0);
        listing.files.sort();
        (listing.files, listing.is_whole)
    }
}

struct Listing {
    files: Vec<String>,
    is_whole: bool,
}

impl Listing {
    fn add(&mut self, folder: &OwnedFd, path: &Path, depth: usize) {
        let Ok(found) = entries(folder) else { return };
        for entry in found.flatten() {
            let name = OsStr::new(entry.file_name().to_str().unwrap_or("."));
            let path = path.join(name);
            if self.files.len() >= MAX_FILES {
                self.is_whole = false;
                return;
            }
            if name == "." || name == ".." || path == Path::new(INSTRUCTIONS) {
                continue;
            }
            match (entry.file_type(), subfolder(folder, name)) {
                (FileType::RegularFile, _) => self.files.push(text::path(&path)),
                (_, Ok(_)) if SKIPPED.iter().any(|skipped| name == *skipped) => {}
                (_, Ok(_)) if depth >= MAX_DEPTH => self.is_whole = false,
                (_, Ok(subfolder)) => self.add(&subfolder, &path, depth + 1),
                // A symlink, a pipe, or a file on a file system that does not say what its entries are.
                (_, Err(_)) => {}
            }
        }
    }
}

fn tell(text: String) -> ToolError {
    ToolError::TellModel(text)
}
