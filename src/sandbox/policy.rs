//! What a command may do. It is the same for all commands of one holder, such as a profile, and travels with each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How much of the sandbox there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The supervisor alone, and never as root where there is a user to change to.
    Off,
    /// Reads the system and the workspace, writes the workspace.
    #[default]
    Workspace,
    /// The same without a network, and every layer is required.
    Strict,
}

/// What a command can talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    None,
    /// A network of the session's own, with nothing in it but its own loopback.
    Loopback,
    #[default]
    All,
}

/// Who a command runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIds {
    pub uid: u32,
    pub gid: u32,
}

/// What the processes of a command may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of data of each process.
    pub memory: u64,
    /// Seconds of processor time of each process.
    pub cpu_time: u64,
    /// Bytes of the largest file that is written.
    pub file_size: u64,
    pub open_files: u64,
    /// Processes and threads of one command together.
    pub processes: u64,
}

/// One thing that the kernel enforces, by a name that an operator can look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// A daemon that is root runs commands as somebody else.
    User,
    /// No capability, and none to be had again.
    Capabilities,
    /// Limits of each process.
    Limits,
    /// A mount namespace that holds nothing but what may be reached.
    View,
    /// A process namespace, which ends as a whole, with a `/proc` of its own.
    Processes,
    /// A network namespace for the session.
    Network,
    /// A control group, where one was left to the daemon: no level promises it.
    Group,
    /// No setuid program gives rights.
    Privileges,
    /// Landlock: files.
    Files,
    /// Landlock: TCP ports.
    Ports,
    /// Landlock: signals and abstract sockets stay inside.
    Scopes,
    /// seccomp: system calls.
    Syscalls,
}

impl Layer {
    /// All of them, in the order they are put on.
    pub const ALL: [Self; 12] = [
        Self::Group,
        Self::Network,
        Self::Processes,
        Self::View,
        Self::Limits,
        Self::Capabilities,
        Self::User,
        Self::Privileges,
        Self::Files,
        Self::Ports,
        Self::Scopes,
        Self::Syscalls,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::Limits => "limits",
            Self::View => "view",
            Self::Processes => "processes",
            Self::Network => "network",
            Self::Privileges => "privileges",
            Self::Files => "files",
            Self::Group => "group",
            Self::Ports => "ports",
            Self::Scopes => "scopes",
            Self::Syscalls => "syscalls",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Layers that cannot be put on here, each with the reason.
pub type Broken = BTreeMap<Layer, String>;

/// What the commands of one holder may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub level: Level,
    pub network: Network,
    /// What can be read besides the system and the workspace.
    pub read: Vec<PathBuf>,
    /// What can be read and written besides the workspace.
    pub write: Vec<PathBuf>,
    /// Without a user the command runs as the daemon does.
    pub user: Option<UserIds>,
    pub limits: Limits,
    /// Bytes that a workspace may hold; `None` for as much as the disk does.
    pub disk: Option<u64>,
    /// Where the private `/tmp` of each workspace is. `None` gives each command one that is gone when it ends.
    pub tmp: Option<PathBuf>,
    /// Whether a command is refused where a promise of its level cannot be kept.
    pub require: bool,
    /// Layers that are required besides those of the level.
    pub demand: Vec<Layer>,
    /// What is known not to work on this machine, so that it need not be tried each time.
    pub broken: Broken,
    /// Switched off on purpose, which only a test does: to see that what a layer guards is open without it.
    pub without: Vec<Layer>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 4 << 30, cpu_time: 3600, file_size: 1 << 30, open_files: 1024, processes: 512 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            level: Level::default(),
            network: Network::default(),
            read: Vec::new(),
            write: Vec::new(),
            user: None,
            limits: Limits::default(),
            disk: None,
            tmp: None,
            require: true,
            demand: Vec::new(),
            broken: Broken::new(),
            without: Vec::new(),
        }
    }
}

impl Policy {
    /// The supervisor alone, with the rights of whoever starts it.
    pub fn off() -> Self {
        Self { level: Level::Off, ..Self::default() }
    }

    /// One layer and nothing else, which is required.
    pub(super) fn only(layer: Layer, user: Option<UserIds>) -> Self {
        let network = match layer {
            Layer::Network => Network::Loopback,
            _ => Network::None,
        };
        let without = Layer::ALL.into_iter().filter(|other| *other != layer).collect();
        Self { network, user, without, demand: vec![layer], ..Self::default() }
    }

    /// The same with a layer left out. Nothing that a command or a configuration says leads here.
    #[must_use]
    pub fn without(mut self, layer: Layer) -> Self {
        self.without.push(layer);
        self
    }

    /// The same on a machine where these layers do not work.
    #[must_use]
    pub fn knowing(self, broken: &Broken) -> Self {
        Self { broken: broken.clone(), ..self }
    }

    /// The private `/tmp` of a workspace.
    pub(super) fn tmp_of(&self, workspace: &Path) -> Option<PathBuf> {
        let name = Sha256::digest(workspace.as_os_str().as_encoded_bytes());
        Some(self.tmp.as_ref()?.join(hex::encode(name.get(..16)?)))
    }

    /// What the command can talk to: at the strict level nothing but itself.
    pub fn network(&self) -> Network {
        match (self.level, self.network) {
            (Level::Strict, Network::All) => Network::None,
            (_, network) => network,
        }
    }

    /// Whether a layer is part of what is asked for.
    pub fn wants(&self, layer: Layer) -> bool {
        let on = self.level != Level::Off;
        let asked = match layer {
            Layer::User => self.user.is_some(),
            Layer::Capabilities | Layer::Privileges => on || self.user.is_some(),
            Layer::Network => on && self.network() == Network::Loopback,
            Layer::Ports => on && self.network() == Network::None,
            Layer::Group
            | Layer::Limits
            | Layer::View
            | Layer::Processes
            | Layer::Files
            | Layer::Scopes
            | Layer::Syscalls => on,
        };
        asked && !self.without.contains(&layer)
    }

    /// The layer for want of which a command is not run. Nothing is run as root, whatever is required.
    pub(super) fn refuses(&self, broken: &Broken) -> Option<Layer> {
        let as_root = self.wants(Layer::User) && broken.contains_key(&Layer::User);
        match self.require {
            true => self.unmet(broken),
            false => as_root.then_some(Layer::User),
        }
    }

    /// The first promise of the level that the layers at work do not keep, as the layer to name.
    pub fn unmet(&self, broken: &Broken) -> Option<Layer> {
        let works = |layer: &Layer| !self.wants(*layer) || !broken.contains_key(layer);
        let demanded = self.demand.iter().copied().find(|layer| !works(layer));
        if demanded.is_some() {
            return demanded;
        }
        match self.level {
            Level::Off => [Layer::User].into_iter().find(|layer| !works(layer)),
            // Two layers guard files, and two keep signals inside: each does it by itself.
            Level::Workspace => {
                let one_of = |layers: [Layer; 2]| if layers.iter().any(works) { None } else { layers.first().copied() };
                let each = [
                    Layer::User,
                    Layer::Capabilities,
                    Layer::Limits,
                    Layer::Network,
                    Layer::Privileges,
                    Layer::Syscalls,
                ];
                let each = each.into_iter().find(|layer| !works(layer));
                each.or_else(|| one_of([Layer::Files, Layer::View]))
                    .or_else(|| one_of([Layer::Scopes, Layer::Processes]))
            }
            Level::Strict => Layer::ALL.into_iter().find(|layer| *layer != Layer::Group && !works(layer)),
        }
    }
}
