//! `sandbox:` who commands run as and what they may use up; and how far those of one profile or server may reach.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{error::Problems, value};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// Who commands of a daemon that is root run as; `None` means `nuncio` where there is such a user, else `nobody`.
    pub user: Option<String>,
    /// Whether a tool is refused where this machine cannot keep a promise of its level; else it is a warning.
    pub require: bool,
    /// Bytes of data of each process.
    #[serde(deserialize_with = "value::size")]
    pub memory: usize,
    /// Processor time of each process.
    #[serde(deserialize_with = "value::duration")]
    pub cpu_time: Duration,
    /// Bytes of the largest file that is written.
    #[serde(deserialize_with = "value::size")]
    pub file_size: usize,
    /// Files that each process has open.
    #[serde(deserialize_with = "value::number")]
    pub open_files: u32,
    /// Processes and threads of one command together.
    #[serde(deserialize_with = "value::number")]
    pub processes: u32,
    /// Bytes that one workspace may hold, its private `/tmp` included.
    #[serde(deserialize_with = "value::size")]
    pub disk: usize,
}

/// How much is kept from a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing but its supervisor, and never root.
    Off,
    #[default]
    Workspace,
    /// No network, and every layer is required.
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    None,
    Loopback,
    All,
}

/// What the commands of one holder may reach: of a profile, or of a server of tools. Each has these four as keys of its
/// own, as the parser knows no keys that are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    pub sandbox: Level,
    /// `None` is what the level is for: nothing when strict, else all.
    pub network: Option<Network>,
    /// Absolute once loaded.
    pub read: &'a [PathBuf],
    pub write: &'a [PathBuf],
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            user: None,
            require: true,
            memory: 4 << 30,
            cpu_time: Duration::from_secs(3600),
            file_size: 1 << 30,
            open_files: 1024,
            processes: 512,
            disk: 4 << 30,
        }
    }
}

impl Sandbox {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let named = self.user.as_deref().is_none_or(|user| !user.is_empty() && user != "root" && user != "0");
        problems.expect(named, "sandbox.user", "expected a user that is not root, by name or number");
        for (key, value, least, expected) in [
            ("sandbox.memory", self.memory, 16 << 20, "expected at least 16MiB, or no program starts"),
            ("sandbox.file_size", self.file_size, 1, "expected more than 0"),
            ("sandbox.open_files", self.open_files as usize, 16, "expected at least 16, or no program starts"),
            ("sandbox.processes", self.processes as usize, 4, "expected at least 4, or no script runs"),
            ("sandbox.disk", self.disk, 1 << 20, "expected at least 1MiB"),
        ] {
            problems.expect(value >= least, key, expected);
        }
        let whole = self.cpu_time >= Duration::from_secs(1);
        problems.expect(whole, "sandbox.cpu_time", "expected at least 1s, as it is counted in seconds");
    }
}

impl Reach<'_> {
    /// What it comes to.
    pub fn network(&self) -> Network {
        match self.sandbox {
            Level::Strict => self.network.unwrap_or(Network::None),
            Level::Off | Level::Workspace => self.network.unwrap_or(Network::All),
        }
    }

    pub(super) fn check(&self, at: &str, problems: &mut Problems<'_>) {
        let on = self.sandbox != Level::Off;
        let key = |name: &str| format!("{at}.{name}");
        let fits = self.sandbox != Level::Strict || self.network != Some(Network::All);
        problems.expect(fits, key("network"), "expected none or loopback, as `sandbox: strict` has no other network");
        let kept = on || self.network.is_none_or(|network| network == Network::All);
        problems.expect(kept, key("network"), "expected all, as `sandbox: off` keeps nothing back");
        for (name, paths) in [("read", self.read), ("write", self.write)] {
            problems.expect(on || paths.is_empty(), key(name), "expected none, as `sandbox: off` keeps nothing back");
            for (index, path) in paths.iter().enumerate() {
                let is_root = path == Path::new("/");
                let expected = "expected a folder or file; the whole system is what `sandbox: off` is for";
                problems.expect(!is_root, format!("{}[{index}]", key(name)), expected);
            }
        }
    }
}
