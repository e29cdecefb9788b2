//! Skills: folders with a `SKILL.md` that says what they are for and how it is done. Which there are is looked up when a run
//! begins, so that one can be added without a restart.

mod folder;
mod front_matter;

use crate::tools::text;
pub use folder::SkillFolder;
use front_matter::FrontMatter;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// The file that makes a folder a skill.
pub const INSTRUCTIONS: &str = "SKILL.md";

/// Skills of one profile, and what is looked at to find them.
const MAX_SKILLS: usize = 200;
const MAX_ENTRIES: usize = 2000;

/// Mistakes that are told at a time.
const MAX_PROBLEMS: usize = 20;

/// Bytes of the list that every prompt of the profile has; skills beyond it are named and not described.
const MAX_LIST: usize = 16 << 10;

/// The skills of a profile. Cheap to clone.
#[derive(Clone)]
pub struct Skills(Arc<Shared>);

struct Shared {
    /// Where skills are, the first of two with the same name counting.
    folders: Vec<PathBuf>,
    known: Mutex<Arc<Catalogue>>,
    /// Held while somebody looks; the others take what is known.
    read: Mutex<HashMap<PathBuf, (Stamp, Read)>>,
}

/// What tells that a file was not changed.
type Stamp = (i64, i64, u64, u64);

/// What a skill's own file says, or what is wrong with it.
type Read = Result<FrontMatter, String>;

/// The skills there are, and what is wrong with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    pub skills: BTreeMap<String, Skill>,
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// One line.
    pub description: String,
    /// Absolute and without symlinks.
    pub folder: PathBuf,
}

impl Skills {
    /// `folders` are absolute. None of them has to be there.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self(Arc::new(Shared { folders, known: Mutex::default(), read: Mutex::default() }))
    }

    /// Looks which skills there are now, and reads those that have changed. Blocks for as long as the file system does.
    pub fn look(&self) -> Arc<Catalogue> {
        let mut read = match self.0.read.try_lock() {
            Ok(read) => read,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.known(),
        };
        let mut search =
            Search { catalogue: Catalogue::default(), before: std::mem::take(&mut *read), now: HashMap::new() };
        self.0.folders.iter().for_each(|folder| search.folder(folder));
        let Search { catalogue, now, .. } = search;
        *read = now;
        let mut known = self.lock();
        if catalogue.problems != known.problems {
            catalogue.problems.iter().for_each(|problem| tracing::warn!(problem, "a skill cannot be offered"));
        }
        if **known != catalogue {
            *known = Arc::new(catalogue);
        }
        Arc::clone(&known)
    }

    /// What a command must be able to read to run a skill's scripts: the folders that are there, and those of skills that a
    /// symlink has put into one.
    pub fn readable(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.0.folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
        let known = self.known();
        let elsewhere = known.skills.values().map(|skill| &skill.folder);
        let elsewhere: Vec<PathBuf> =
            elsewhere.filter(|real| !folders.iter().any(|folder| real.starts_with(folder))).cloned().collect();
        folders.extend(elsewhere);
        folders
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Catalogue>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last look has found.
    pub fn known(&self) -> Arc<Catalogue> {
        Arc::clone(&self.lock())
    }
}

impl Catalogue {
    /// A line for each, for the prompt of a run; nothing where there are none.
    pub fn told(&self) -> Option<String> {
        let mut told =
            "Skills are instructions for certain tasks, written by whoever runs this server. When a task fits one \
                        of these, open it with the tool `skill` before you begin, and follow it:"
                .to_owned();
        let (mut room, mut others) = (MAX_LIST, Vec::new());
        for (name, skill) in &self.skills {
            let line = format!("\n- {name}: {}", skill.description);
            match room.checked_sub(line.len()) {
                Some(left) => (room, told) = (left, told + &line),
                None => others.push(name.as_str()),
            }
        }
        if !others.is_empty() {
            told = format!("{told}\nThere are also: {}.", others.join(", "));
        }
        (!self.skills.is_empty()).then_some(told)
    }
}

/// A look at all folders.
struct Search {
    catalogue: Catalogue,
    before: HashMap<PathBuf, (Stamp, Read)>,
    now: HashMap<PathBuf, (Stamp, Read)>,
}

impl Search {
    fn folder(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.problem(folder, &format!("cannot be read: {error}")),
        };
        let mut paths: Vec<PathBuf> = entries.take(MAX_ENTRIES + 1).flatten().map(|entry| entry.path()).collect();
        if paths.len() > MAX_ENTRIES {
            return self
                .problem(folder, &format!("holds more than {MAX_ENTRIES} entries, too many for a folder of skills"));
        }
        // The file system gives them in any order, and every prompt must have them in the same one.
        paths.sort();
        paths.iter().filter(|path| path.is_dir()).for_each(|path| self.candidate(path));
    }

    fn candidate(&mut self, path: &Path) {
        let file = path.join(INSTRUCTIONS);
        let found = match fs::metadata(&file) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !is_hidden {
                    self.problem(path, &format!("has no {INSTRUCTIONS}"));
                }
                return;
            }
            Err(error) => return self.problem(&file, &format!("cannot be read: {error}")),
        };
        let stamp = (found.mtime(), found.mtime_nsec(), found.size(), found.ino());
        let read = match self.before.remove(path) {
            Some((known, read)) if known == stamp => read,
            _ => front_matter::read(&file),
        };
        self.now.insert(path.to_owned(), (stamp, read.clone()));
        let placed = read.and_then(|front| match path.canonicalize() {
            Ok(folder) => Ok((front, folder)),
            Err(error) => Err(format!("cannot be reached: {error}")),
        });
        match placed {
            Ok((front, folder)) => self.add(front, path, folder),
            Err(problem) => self.problem(&file, &problem),
        }
    }

    fn add(&mut self, front: FrontMatter, path: &Path, folder: PathBuf) {
        let FrontMatter { name, description } = front;
        if let Some(first) = self.catalogue.skills.get(&name) {
            let problem = format!("is called {name} as {} is, which comes first", first.folder.display());
            return self.problem(path, &problem);
        }
        if self.catalogue.skills.len() >= MAX_SKILLS {
            return self.problem(path, &format!("is one too many: there may be {MAX_SKILLS} skills"));
        }
        self.catalogue.skills.insert(name, Skill { description, folder });
    }

    fn problem(&mut self, path: &Path, what: &str) {
        let problems = &mut self.catalogue.problems;
        if problems.len() < MAX_PROBLEMS {
            problems.push(format!("{} {what}", text::path(path)));
        }
    }
}

#[cfg(test)]
mod tests;
