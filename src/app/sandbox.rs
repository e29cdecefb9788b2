//! The sandbox that the configuration asks for, on the machine that there is.

use super::{AppError, OWN_BINARY, commands_lock};
use crate::config::sandbox::{self as settings, Reach};
use crate::config::{Config, mcp::McpServer};
use crate::sandbox::{Broken, Layer, Level, Limits, Network, Policy, Supervisor, UserIds};
use crate::system;
use serde_json::{Value, json};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Who commands run as if nobody is named, the first that there is.
const USUAL_USERS: [&str; 2] = ["nuncio", "nobody"];

/// The number that stands for nobody everywhere.
const NOBODY: UserIds = UserIds { uid: 65534, gid: 65534 };

/// What this machine enforces, and who commands run as.
pub struct Sandbox {
    supervisor: Supervisor,
    settings: settings::Sandbox,
    /// Their name and ids; `None` if they run as the daemon does.
    user: Option<(String, UserIds)>,
    broken: Broken,
    /// The shell that the configuration names.
    shell: Option<PathBuf>,
    data_dir: PathBuf,
}

impl Sandbox {
    /// Tries every layer once.
    pub async fn find(config: &Config) -> Result<Self, AppError> {
        let supervisor = Supervisor::new(OWN_BINARY).holding(commands_lock(config));
        let user = user(config.sandbox.user.as_deref())
            .map_err(|message| AppError::Sandbox(format!("sandbox.user: {message}")))?;
        let existing = config.data_dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(&config.data_dir);
        // Without the lock, as a check shall leave no file.
        let prober = Supervisor::new(OWN_BINARY);
        let ids = user.as_ref().map(|(_, ids)| *ids);
        let broken = prober.probe(ids, existing).await.map_err(|error| {
            AppError::Sandbox(format!("the sandbox cannot be tried, for want of a temporary folder: {error}"))
        })?;
        let data_dir = config.data_dir.canonicalize().unwrap_or_else(|_| config.data_dir.clone());
        Ok(Self {
            supervisor,
            settings: config.sandbox.clone(),
            user,
            broken,
            shell: config.tools.terminal.shell.clone(),
            data_dir,
        })
    }

    /// Starts the commands of whoever may reach that far.
    pub fn supervisor(&self, reach: Reach<'_>) -> Result<Supervisor, String> {
        Ok(self.supervisor.under(self.policy(reach)?))
    }

    /// The user and group that commands run as, if these are not the daemon's.
    pub fn workers(&self) -> Option<(u32, u32)> {
        self.user.as_ref().map(|(_, ids)| (ids.uid, ids.gid))
    }

    fn policy(&self, reach: Reach<'_>) -> Result<Policy, String> {
        let level = match reach.sandbox {
            settings::Level::Off => Level::Off,
            settings::Level::Workspace => Level::Workspace,
            settings::Level::Strict => Level::Strict,
        };
        let network = match reach.network() {
            settings::Network::None => Network::None,
            settings::Network::Loopback => Network::Loopback,
            settings::Network::All => Network::All,
        };
        for (key, paths) in [("read", reach.read), ("write", reach.write)] {
            for (index, path) in paths.iter().enumerate() {
                self.keep_out_of_data(path).map_err(|error| format!("{key}[{index}]: {error}"))?;
            }
        }
        let settings = &self.settings;
        let policy = Policy {
            level,
            network,
            // A shell of the operator's choice may be anywhere.
            read: reach
                .read
                .iter()
                .chain(&self.shell)
                .filter(|path| !is_below_any(path, reach.write))
                .cloned()
                .collect(),
            write: reach.write.iter().filter(|path| !is_below_any(path, reach.write)).cloned().collect(),
            user: self.user.as_ref().map(|(_, ids)| *ids),
            limits: Limits {
                memory: settings.memory as u64,
                cpu_time: settings.cpu_time.as_secs(),
                file_size: settings.file_size as u64,
                open_files: settings.open_files.into(),
                processes: settings.processes.into(),
            },
            disk: (level != Level::Off).then_some(settings.disk as u64),
            tmp: (level != Level::Off).then(|| self.tmp()),
            require: settings.require,
            ..Policy::default()
        };
        Ok(policy.knowing(&self.broken))
    }

    /// Whoever may reach the data folder may reach the store and everybody's workspaces.
    pub fn keep_out_of_data(&self, path: &Path) -> Result<(), String> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let inside = self.data_dir.starts_with(&real) || real.starts_with(&self.data_dir);
        match inside && !real.starts_with(self.data_dir.join("workspaces")) {
            true => Err(format!(
                "expected a path apart from the data folder {}, which is the daemon's own; found {}",
                self.data_dir.display(),
                path.display()
            )),
            false => Ok(()),
        }
    }

    fn tmp(&self) -> PathBuf {
        self.data_dir.join("tmp")
    }

    /// Makes the folders that commands use. Where no view can be made for it, another user has to be let through the
    /// folders above: they can be passed then, and still not be listed.
    pub fn make_folders(&self, config: &Config) -> io::Result<()> {
        let tmp = self.tmp();
        // As on any system, what is temporary does not survive a start.
        match std::fs::remove_dir_all(&tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => system::private_folder(&tmp)?,
        }
        let servers = self.data_dir.join("mcp");
        let has_servers = config.mcp_servers.values().any(McpServer::is_program);
        if has_servers {
            system::private_folder(&servers)?;
        }
        if self.user.is_some() && self.has_paths(config) {
            let folders = [&self.data_dir, &tmp, &self.data_dir.join("workspaces")];
            for folder in folders.into_iter().chain(has_servers.then_some(&servers)) {
                system::let_pass(folder)?;
            }
        }
        Ok(())
    }

    /// Whether commands find their folders by the paths that these have outside.
    fn has_paths(&self, config: &Config) -> bool {
        let is_off = |holder: Holder<'_>| holder.reach.sandbox == settings::Level::Off;
        self.broken.contains_key(&Layer::View) || holders(config).any(is_off)
    }

    /// Who commands run as, and the first folder above the data folder that they have to pass and may not.
    fn barred(&self, config: &Config) -> Option<(&str, &Path)> {
        let (name, ids) = self.user.as_ref().filter(|_| self.has_paths(config))?;
        let is_barred = |folder: &&Path| folder.metadata().is_ok_and(|found| !may_pass(&found, *ids));
        let folders = self.data_dir.ancestors().skip(1);
        Some((name, folders.filter(is_barred).last()?))
    }

    /// What cannot be promised to a holder, in words.
    fn unmet(&self, holder: &Holder<'_>) -> Option<String> {
        let mut policy = self.policy(holder.reach).ok()?;
        let mut layers = Vec::new();
        while let Some(layer) = policy.unmet(&self.broken) {
            layers.push(layer);
            policy = policy.without(layer);
        }
        let reason = layers.first().and_then(|layer| self.broken.get(layer))?;
        let outcome = match (self.settings.require || layers.contains(&Layer::User), holder.is_server) {
            (true, false) => "its commands are refused",
            (true, true) => "it is not started",
            (false, false) => "its commands run without",
            (false, true) => "it runs without",
        };
        let (layers, s) = (layers.iter().map(|layer| layer.name()).collect::<Vec<_>>(), plural(&layers));
        Some(format!("layer{s} {} cannot be put on here, so {outcome}: {reason}", layers.join(", ")))
    }

    /// In lines for people: how far the commands of each profile reach, and each server that is a program.
    pub fn summary(&self, config: &Config) -> Vec<String> {
        let user = self.user.as_ref().map(|(name, ids)| format!(", as {name} ({})", ids.uid)).unwrap_or_default();
        let of_holder = |holder: Holder<'_>| {
            let Holder { name, reach, is_server } = &holder;
            let told = match (reach.sandbox, reach.network()) {
                (settings::Level::Off, _) => {
                    let who = if *is_server { "it reaches all that its" } else { "commands reach all that their" };
                    format!("sandbox   {name}: off, {who} user does{user}")
                }
                (level, network) => format!("sandbox   {name}: {}, network {}{user}", word(&level), word(&network)),
            };
            let unmet = self.unmet(&holder).map(|unmet| format!("warning   {name}: sandbox {unmet}"));
            [Some(told), unmet]
        };
        let barred = self.barred(config).map(|(who, folder)| {
            format!(
                "warning   without a view commands have to pass {}, which is closed to {who}: choose another --data-dir",
                folder.display()
            )
        });
        holders(config).flat_map(of_holder).flatten().chain(barred).collect()
    }

    /// Each layer and whether it works here, in lines for people.
    pub fn layers(&self) -> Vec<String> {
        let line = |layer: Layer| {
            let found = match (self.broken.get(&layer), layer == Layer::User && self.user.is_none()) {
                (Some(reason), _) => format!("not here: {reason}"),
                (None, true) => "not needed: the daemon is not root".to_owned(),
                (None, false) => "enforced".to_owned(),
            };
            format!("layer     {:<12} {found}", layer.name())
        };
        Layer::ALL.into_iter().map(line).collect()
    }

    /// For `/health/detailed`.
    pub fn report(&self, config: &Config) -> Value {
        let unmet: serde_json::Map<String, Value> = holders(config)
            .filter_map(|holder| {
                let unmet = self.unmet(&holder)?;
                Some((holder.name, unmet.into()))
            })
            .collect();
        json!({
            "status": if unmet.is_empty() { "ok" } else { "degraded" },
            "user": self.user.as_ref().map(|(name, _)| name),
            "missing": self.broken,
            "problems": unmet,
        })
    }
}

fn plural<T>(all: &[T]) -> &'static str {
    if all.len() == 1 { "" } else { "s" }
}

/// Whose commands are kept from something: a profile, or a server of tools that is a program.
struct Holder<'a> {
    name: String,
    reach: Reach<'a>,
    is_server: bool,
}

fn holders(config: &Config) -> impl Iterator<Item = Holder<'_>> {
    let profiles = config.profiles.iter();
    let profiles = profiles.map(|(id, profile)| Holder { name: id.clone(), reach: profile.reach(), is_server: false });
    let servers = config.mcp_servers.iter().filter(|(_, server)| server.is_program());
    let servers =
        servers.map(|(name, server)| Holder { name: format!("mcp {name}"), reach: server.reach(), is_server: true });
    profiles.chain(servers)
}

fn may_pass(folder: &Metadata, user: UserIds) -> bool {
    let bit = match () {
        () if folder.uid() == user.uid => 0o100,
        () if folder.gid() == user.gid => 0o010,
        () => 0o001,
    };
    folder.mode() & bit != 0
}

/// Whether a path is inside of a folder that commands can write. They have it anyway, and can put a link in its place
/// that the next command would be led out by.
fn is_below_any(path: &Path, written: &[PathBuf]) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_below = |path: &Path, folder: &Path| path != folder && path.starts_with(folder);
    written.iter().any(|folder| is_below(path, folder) || is_below(&real(path), &real(folder)))
}

/// A setting as it is written.
fn word(setting: &impl std::fmt::Debug) -> String {
    format!("{setting:?}").to_lowercase()
}

/// Who commands run as.
fn user(named: Option<&str>) -> Result<Option<(String, UserIds)>, String> {
    let own = rustix::process::geteuid();
    let find = |name: &str| Some((name.to_owned(), ids(system::user(name)?)));
    let found = match named {
        Some(name) => Some(
            find(name).ok_or_else(|| format!("expected a user of this machine; found `{}`", name.escape_debug()))?,
        ),
        None => USUAL_USERS.into_iter().find_map(find),
    };
    match found {
        Some((name, ids)) if ids.uid == 0 => Err(format!("expected a user that is not root; found `{name}`")),
        found if own.is_root() => Ok(Some(found.unwrap_or_else(|| ("nobody".to_owned(), NOBODY)))),
        Some((name, ids)) if named.is_some() && ids.uid != own.as_raw() => Err(format!(
            "expected none, as only a daemon that is root can run commands as somebody else; found `{name}`"
        )),
        _ => Ok(None),
    }
}

fn ids((uid, gid): (u32, u32)) -> UserIds {
    UserIds { uid, gid }
}
