//! How much a workspace holds, measured a little at a time beside the command that fills it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// Entries that are looked at before the supervisor looks after its command again.
const AT_ONCE: usize = 2000;

/// The pause between two rounds: at least this, and ten times what a round has taken.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_FACTOR: u32 = 10;

/// Folders in folders. Whoever nests deeper wants to hide something.
const MAX_DEPTH: usize = 256;

/// What a command may add to a workspace that holds too much already, so that it can still tidy up.
const TO_TIDY_UP: u64 = 1 << 20;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Measures folders against a budget.
pub(super) struct Meter {
    roots: Vec<PathBuf>,
    budget: u64,
    /// What is allowed now: more than the budget for a workspace that began with more.
    allowed: Option<u64>,
    round: Option<Round>,
    next_round: Instant,
}

/// One way through the folders.
struct Round {
    started: Instant,
    roots: Vec<PathBuf>,
    open: Vec<(Dir, OwnedFd)>,
    bytes: u64,
    is_too_deep: bool,
}

/// What a round has found that the command or its reader must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// More than the budget from the start.
    OverBefore(String),
    Over(String),
}

impl Meter {
    pub fn new(roots: Vec<PathBuf>, budget: u64) -> Self {
        Self { roots, budget, allowed: None, round: None, next_round: Instant::now() }
    }

    /// How long nothing needs to be measured.
    pub fn pause(&self) -> Duration {
        match self.round {
            Some(_) => Duration::ZERO,
            None => self.next_round.saturating_duration_since(Instant::now()),
        }
    }

    /// Goes on measuring, if it is time to.
    pub fn measure(&mut self) -> Option<Found> {
        if self.round.is_none() && self.next_round > Instant::now() {
            return None;
        }
        let mut round = self.round.take().unwrap_or_else(|| Round::through(&self.roots));
        if !round.go_on(AT_ONCE) {
            self.round = Some(round);
            return None;
        }
        self.next_round = Instant::now() + PAUSE.max(round.started.elapsed().saturating_mul(PAUSE_FACTOR));
        if round.is_too_deep {
            return Some(Found::Over(format!("the workspace has folders nested deeper than {MAX_DEPTH}")));
        }
        let holds = |bytes: u64| format!("the workspace holds {} of the {} it may", size(bytes), size(self.budget));
        match self.allowed {
            None if round.bytes > self.budget => {
                self.allowed = Some(round.bytes.saturating_add(TO_TIDY_UP));
                Some(Found::OverBefore(holds(round.bytes)))
            }
            None => {
                self.allowed = Some(self.budget);
                None
            }
            Some(allowed) => (round.bytes > allowed).then(|| Found::Over(holds(round.bytes))),
        }
    }
}

fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

impl Round {
    fn through(roots: &[PathBuf]) -> Self {
        let (open, bytes) = (Vec::new(), 0);
        Self { started: Instant::now(), roots: roots.to_vec(), open, bytes, is_too_deep: false }
    }

    /// Looks at some entries, and says whether that was all.
    fn go_on(&mut self, at_once: usize) -> bool {
        for _ in 0..at_once {
            let Some((entries, folder)) = self.open.last_mut() else {
                match self.roots.pop() {
                    Some(root) => self.enter(fs::openat(CWD, &root, FOLDER, Mode::empty())),
                    None => return true,
                }
                continue;
            };
            let Some(Ok(entry)) = entries.next() else {
                self.open.pop();
                continue;
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = fs::statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            // In blocks, for a file with holes; and by links, for a file with many names.
            let bytes = stat.st_blocks.unsigned_abs().saturating_mul(512);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.bytes = self.bytes.saturating_add(bytes);
                let inside = fs::openat(&*folder, name, FOLDER, Mode::empty());
                self.enter(inside);
            } else {
                #[allow(clippy::unnecessary_cast, reason = "it is narrower on some machines")]
                let links = (stat.st_nlink as u64).max(1);
                self.bytes = self.bytes.saturating_add(bytes / links);
            }
        }
        false
    }

    fn enter(&mut self, folder: rustix::io::Result<OwnedFd>) {
        if self.open.len() >= MAX_DEPTH {
            self.is_too_deep = true;
        } else if let Ok(folder) = folder
            && let Ok(entries) = Dir::read_from(&folder)
        {
            self.open.push((entries, folder));
        }
    }
}

/// What is measured of a command: its workspace, and its private folder for temporary files.
pub(super) fn roots(workspace: &Path, tmp: Option<PathBuf>) -> Vec<PathBuf> {
    tmp.into_iter().chain([workspace.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_round(meter: &mut Meter) -> Option<Found> {
        meter.next_round = Instant::now();
        loop {
            let found = meter.measure();
            if found.is_some() || meter.round.is_none() {
                return found;
            }
        }
    }

    #[test]
    fn what_is_over_the_budget_is_found_and_may_be_tidied_up() {
        let temp = tempfile::tempdir().unwrap();
        let put = |name: &str, mib: usize| std::fs::write(temp.path().join(name), vec![1; mib << 20]).unwrap();
        std::fs::create_dir_all(temp.path().join("a/b")).unwrap();
        put("a/b/one", 2);
        std::fs::hard_link(temp.path().join("a/b/one"), temp.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/usr", temp.path().join("usr")).unwrap();
        let meter = || Meter::new(vec![temp.path().to_owned()], 4 << 20);
        let mut growing = meter();
        assert_eq!(whole_round(&mut growing), None);
        put("two", 3);
        assert!(matches!(whole_round(&mut growing), Some(Found::Over(text)) if text.contains("of the 4.0 MiB")));

        let mut full = meter();
        assert!(matches!(whole_round(&mut full), Some(Found::OverBefore(_))));
        assert_eq!(whole_round(&mut full), None);
        put("three", 2);
        assert!(matches!(whole_round(&mut full), Some(Found::Over(_))));
    }

    #[test]
    fn a_large_workspace_is_measured_in_parts() {
        let temp = tempfile::tempdir().unwrap();
        (0..AT_ONCE + 10).for_each(|name| std::fs::write(temp.path().join(name.to_string()), "x").unwrap());
        let mut meter = Meter::new(vec![temp.path().to_owned()], 1 << 20);
        assert_eq!((meter.measure(), meter.pause()), (None, Duration::ZERO));
        assert!(matches!(whole_round(&mut meter), Some(Found::OverBefore(_))));
    }
}
