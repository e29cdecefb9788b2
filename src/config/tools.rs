//! `tools:` limits of the built-in tools, for all profiles alike.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Access, access};
use serde::Deserialize;

use super::{error::Problems, value};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tools {
    /// Bytes of text that one call of any tool hands to the model; it is paid for in tokens.
    #[serde(deserialize_with = "value::size")]
    pub output_limit: usize,
    pub terminal: Terminal,
    pub files: Files,
    pub search: Search,
    pub memory: Memory,
    pub view_image: ViewImage,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terminal {
    /// Runs the commands with `-c`; `None` means bash where there is one, else sh. See [`Terminal::shell`].
    pub shell: Option<PathBuf>,
    /// The longest any command may run, whatever the profile allows and the model asks for.
    #[serde(deserialize_with = "value::duration")]
    pub max_time: Duration,
    /// Bytes of an output that are kept in a file of the workspace, where there is more than is shown.
    #[serde(deserialize_with = "value::size")]
    pub max_output: usize,
    /// Background processes of a session that may run at once.
    #[serde(deserialize_with = "value::number")]
    pub max_processes: usize,
    /// They end when nothing was asked of the terminal in their session for this long.
    #[serde(deserialize_with = "value::duration")]
    pub idle_time: Duration,
    /// No background process runs longer.
    #[serde(deserialize_with = "value::duration")]
    pub max_lifetime: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// Bytes of the largest file that is edited, as an edit holds all of it in memory.
    #[serde(deserialize_with = "value::size")]
    pub max_size: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// Matching lines that one search gives the model.
    #[serde(deserialize_with = "value::number")]
    pub max_matches: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Bytes of the notes of one user with one profile, which every prompt of theirs has in full.
    #[serde(deserialize_with = "value::size")]
    pub max_size: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewImage {
    /// Bytes of the largest image that is shown.
    #[serde(deserialize_with = "value::size")]
    pub max_size: usize,
}

impl Default for Tools {
    fn default() -> Self {
        let (terminal, files, search, memory, view_image) = Default::default();
        Self { output_limit: 32 << 10, terminal, files, search, memory, view_image }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            shell: None,
            max_time: minutes(10),
            max_output: 16 << 20,
            max_processes: 8,
            idle_time: minutes(30),
            max_lifetime: minutes(24 * 60),
        }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self { max_size: 16 << 20 }
    }
}

impl Default for Search {
    fn default() -> Self {
        Self { max_matches: 200 }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { max_size: 8 << 10 }
    }
}

impl Default for ViewImage {
    fn default() -> Self {
        Self { max_size: 3 << 20 }
    }
}

impl Terminal {
    /// The shell to run, chosen now if none is configured.
    pub fn shell(&self) -> PathBuf {
        let usual = || {
            if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" }
        };
        self.shell.clone().unwrap_or_else(|| usual().into())
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

impl Tools {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let over_zero = "expected more than 0";
        let absolute = self.terminal.shell.as_ref().is_none_or(|shell| shell.is_absolute());
        problems.expect(absolute, "tools.terminal.shell", "expected an absolute path such as /bin/sh");
        let runs = self.terminal.shell.as_ref().is_none_or(|shell| !shell.is_absolute() || is_program(shell));
        problems.expect(runs, "tools.terminal.shell", "expected a program that is on this machine and can be run");
        problems.expect(self.output_limit > 0, "tools.output_limit", over_zero);
        problems.expect(!self.terminal.max_time.is_zero(), "tools.terminal.max_time", over_zero);
        problems.expect(self.terminal.max_output > 0, "tools.terminal.max_output", over_zero);
        problems.expect(self.terminal.max_processes > 0, "tools.terminal.max_processes", over_zero);
        problems.expect(!self.terminal.idle_time.is_zero(), "tools.terminal.idle_time", over_zero);
        problems.expect(!self.terminal.max_lifetime.is_zero(), "tools.terminal.max_lifetime", over_zero);
        problems.expect(self.files.max_size > 0, "tools.files.max_size", over_zero);
        problems.expect(self.search.max_matches > 0, "tools.search.max_matches", over_zero);
        problems.expect(self.view_image.max_size > 0, "tools.view_image.max_size", over_zero);
        let fits = (256..=1 << 20).contains(&self.memory.max_size);
        problems.expect(fits, "tools.memory.max_size", "expected 256 bytes to 1MiB: every prompt has all of it");
    }
}
