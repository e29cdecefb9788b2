//! Goes through the folders of a workspace, by descriptors, so that no symlink leads it out.

use crate::core::ports::tool::ToolError;
use crate::tools::file_tool::Scope;
use crate::tools::workspace::{self, Place};
use globset::{GlobBuilder, GlobMatcher};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Folders deeper than this below the start are not entered: each holds a descriptor open.
pub const MAX_DEPTH: usize = 64;

/// Names kept of one folder while it is sorted.
const MAX_NAMES: usize = 100_000;

/// Bytes read of one `.gitignore`.
const MAX_RULES: u64 = 1024 * 1024;

/// What to go through.
pub struct Walk<'s> {
    pub scope: &'s Scope,
    /// Levels of folders, the start's own entries being level 1.
    pub depth: usize,
    /// Entries taken of each folder below the start, so that one full of files does not hide its neighbours.
    pub per_folder: usize,
    /// Leave out what the `.gitignore` files of the workspace name.
    pub gitignore: bool,
}

/// What the walk comes across: everything but `.git`, by name, each folder before what is in it.
pub enum Found<'a> {
    Entry(Entry<'a>),
    /// Entries of a folder that were left out.
    More {
        folder: &'a Place,
        count: usize,
    },
    /// The folder that came last was not entered: it is deeper than was asked for, or, if `for_good`, it cannot be
    /// read or no walk that begins here goes as deep.
    Closed {
        for_good: bool,
    },
}

pub struct Entry<'a> {
    pub place: Place,
    pub name: &'a OsStr,
    pub kind: FileType,
    /// What `name` is in.
    pub folder: BorrowedFd<'a>,
}

/// Why a walk ends early.
pub enum Halt {
    /// The visitor has what it wants.
    Enough,
    Failed(ToolError),
}

impl From<ToolError> for Halt {
    fn from(error: ToolError) -> Self {
        Self::Failed(error)
    }
}

impl Walk<'_> {
    /// Goes through a folder until it is done or `visit` halts it.
    pub fn run(&self, start: &Place, visit: &mut dyn FnMut(Found<'_>) -> Result<(), Halt>) -> Result<(), ToolError> {
        let folder = self.scope.workspace.open_folder(start)?;
        let listing = Listing::of(folder).map_err(|error| self.scope.unreadable(start, &error.into()))?;
        let mut walker = Walker { walk: self, rules: Vec::new(), visit };
        let mut above = start.parent();
        while let Some(place) = above.filter(|_| self.gitignore) {
            walker.rules.extend(walker.read_rules(&place));
            above = place.parent();
        }
        walker.rules.reverse();
        match walker.enter(start, &listing, 1) {
            Ok(()) | Err(Halt::Enough) => Ok(()),
            Err(Halt::Failed(error)) => Err(error),
        }
    }
}

struct Walker<'w> {
    walk: &'w Walk<'w>,
    /// The rules of the folders that lead here, the outermost first.
    rules: Vec<Gitignore>,
    visit: &'w mut dyn FnMut(Found<'_>) -> Result<(), Halt>,
}

impl Walker<'_> {
    fn enter(&mut self, at: &Place, listing: &Listing, level: usize) -> Result<(), Halt> {
        let outer = self.rules.len();
        if self.walk.gitignore && listing.names.iter().any(|(name, _)| name == ".gitignore") {
            self.rules.extend(self.read_rules(at));
        }
        let room = if level == 1 { usize::MAX } else { self.walk.per_folder };
        let (mut taken, mut left) = (0, listing.left);
        for (name, kind) in &listing.names {
            self.walk.scope.check()?;
            let place = at.child(name);
            if name == ".git" || self.ignores(&place, *kind) {
                continue;
            }
            if taken == room {
                left += 1;
                continue;
            }
            taken += 1;
            (self.visit)(Found::Entry(Entry {
                place: place.clone(),
                name,
                kind: *kind,
                folder: listing.folder.as_fd(),
            }))?;
            if *kind == FileType::Directory {
                self.descend(&place, name, listing, level)?;
            }
        }
        if left > 0 {
            (self.visit)(Found::More { folder: at, count: left })?;
        }
        self.rules.truncate(outer);
        Ok(())
    }

    fn descend(&mut self, place: &Place, name: &OsStr, above: &Listing, level: usize) -> Result<(), Halt> {
        if level >= self.walk.depth.min(MAX_DEPTH) {
            return (self.visit)(Found::Closed { for_good: level >= MAX_DEPTH });
        }
        match workspace::subfolder(&above.folder, name).and_then(Listing::of) {
            Ok(listing) => self.enter(place, &listing, level + 1),
            Err(_) => (self.visit)(Found::Closed { for_good: true }),
        }
    }

    /// The nearest folder with a word on it decides.
    fn ignores(&self, place: &Place, kind: FileType) -> bool {
        let mut verdicts =
            self.rules.iter().rev().map(|rules| rules.matched(place.path(), kind == FileType::Directory));
        verdicts.find(|verdict| !verdict.is_none()).is_some_and(|verdict| verdict.is_ignore())
    }

    /// The rules of one folder. They only save work, so whatever is wrong with them is passed over.
    fn read_rules(&self, folder: &Place) -> Option<Gitignore> {
        let file = self.walk.scope.workspace.open_file(&folder.child(OsStr::new(".gitignore"))).ok()?;
        let mut text = Vec::new();
        file.take(MAX_RULES).read_to_end(&mut text).ok()?;
        let mut rules = GitignoreBuilder::new(folder.path());
        for line in String::from_utf8_lossy(&text).lines() {
            let _ = rules.add_line(None, line);
        }
        rules.build().ok()
    }
}

/// An open folder and the names in it.
struct Listing {
    folder: OwnedFd,
    names: Vec<(OsString, FileType)>,
    /// How many more names there are.
    left: usize,
}

impl Listing {
    fn of(folder: OwnedFd) -> Result<Self, Errno> {
        let (mut names, mut left) = (Vec::new(), 0);
        for entry in workspace::entries(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == MAX_NAMES {
                left += 1;
                continue;
            }
            names.push((name.to_owned(), kind(&folder, name, entry.file_type())));
        }
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { folder, names, left })
    }
}

/// Some file systems do not tell the kind with the name.
fn kind(folder: &OwnedFd, name: &OsStr, told: FileType) -> FileType {
    match told {
        FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
        told => told,
    }
}

/// Which files are meant: by a glob over the name, or, if the glob holds a `/`, over the path from the start.
pub struct Filter {
    glob: Option<GlobMatcher>,
    by_path: bool,
}

impl Filter {
    pub fn new(glob: Option<&str>) -> Result<Self, ToolError> {
        // Models fill in what they do not need with nothing.
        let Some(glob) = glob.filter(|glob| !glob.is_empty()) else { return Ok(Self { glob: None, by_path: false }) };
        let glob = glob.trim_start_matches("./").trim_start_matches('/');
        let compiled = GlobBuilder::new(glob).literal_separator(true).build();
        match compiled {
            Ok(compiled) => Ok(Self { glob: Some(compiled.compile_matcher()), by_path: glob.contains('/') }),
            Err(error) => Err(ToolError::TellModel(format!("glob cannot be used: {error}."))),
        }
    }

    pub fn fits(&self, start: &Place, entry: &Entry<'_>) -> bool {
        let path = match self.by_path {
            true => entry.place.path().strip_prefix(start.path()).unwrap_or(entry.place.path()),
            false => Path::new(entry.name),
        };
        self.glob.as_ref().is_none_or(|glob| glob.is_match(path))
    }

    pub fn is_set(&self) -> bool {
        self.glob.is_some()
    }
}
