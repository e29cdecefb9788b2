//! Wiring: the only place that names concrete upstreams, tools and stores.

mod check;
mod daemon;
mod equipment;
mod gateway;
mod greeting;
mod output;
mod profile;
mod requested;
mod sandbox;
mod servers;
mod store;
mod told;
mod upstreams;
mod web;

use crate::cli::{Cli, Command, Flags, KeyCommand};
use crate::config::error::ConfigError;
use crate::config::{Config, Loaded, auth};
use crate::sandbox::CommandsLock;
use crate::store::sqlite::OpenError;
use crate::tools::registry::RegistryError;
use crate::upstream::server::SetupError;
use crate::{system, telemetry, tools};
use secrecy::ExposeSecret;
use std::io;
use std::path::{Path, PathBuf};

/// Why the daemon does not run. The text is for the terminal of the one who started it.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the configuration is not usable:\n{0}")]
    Config(#[from] ConfigError),
    #[error("cannot listen on {host}:{port}: {source}. Choose another address with --host and --port.")]
    Listen { host: String, port: u16, source: io::Error },
    #[error("the data folder {path} cannot be used: {source}. Choose another with --data-dir.")]
    DataDir { path: PathBuf, source: io::Error },
    #[error("{0}.")]
    Store(#[from] OpenError),
    #[error(transparent)]
    Upstream(#[from] SetupError),
    #[error("profile `{profile}`: {reason}")]
    Profile { profile: String, reason: String },
    #[error("mcp_servers.{server}: {reason}")]
    Server { server: String, reason: String },
    #[error("{0}")]
    Tools(#[from] RegistryError),
    #[error("{0}")]
    Sandbox(String),
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

/// Does what the command line asks.
pub fn run(cli: &Cli) -> Result<(), AppError> {
    match cli.command() {
        Command::Key(KeyCommand::New { name }) => new_key(name),
        Command::Check => {
            let loaded = load(&cli.flags)?;
            runtime()?.block_on(check::run(loaded))
        }
        Command::Serve => {
            let loaded = load(&cli.flags)?;
            telemetry::init(&loaded.config.log);
            let runtime = runtime()?;
            let served = runtime.block_on(daemon::serve(loaded));
            // All that is left is the work of ended runs, such as a search through a large file: nobody waits for it.
            runtime.shutdown_background();
            served
        }
    }
}

fn load(flags: &Flags) -> Result<Loaded, AppError> {
    let cwd = std::env::current_dir().map_err(fault_of("the working folder is gone"))?;
    Ok(Config::load(flags, &|name| std::env::var_os(name), &cwd, tools::NAMES)?)
}

fn new_key(name: &str) -> Result<(), AppError> {
    let key = auth::generate_key().map_err(fault_of("no random numbers"))?;
    output::say(&format!("The key, shown this once:\n\n    {}\n", key.expose_secret()))?;
    output::say(&format!("For the configuration, under `auth:` `keys:`:\n\n    {}", auth::config_line(name, &key)))
}

fn runtime() -> Result<tokio::runtime::Runtime, AppError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().map_err(fault_of("the runtime cannot start"))
}

fn fault_of(what: &'static str) -> impl FnOnce(io::Error) -> AppError {
    move |source| AppError::System { what, source }
}

/// Where the workspaces of sessions are; checked, and made by [`daemon::serve`] alone.
fn workspaces(data_dir: &Path) -> Result<PathBuf, AppError> {
    let path = data_dir.join("workspaces");
    // Resolved once and for all: what is a symlink later was not the operator's. A check finds nothing there yet.
    let resolved = system::check_folder(&path).and_then(|()| match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
        resolved => resolved,
    });
    resolved.map_err(|source| AppError::DataDir { path: data_dir.to_owned(), source })
}

/// The running image, also after an upgrade has replaced or deleted its file: a supervisor of another version might
/// speak another protocol.
const OWN_BINARY: &str = "/proc/self/exe";

/// Tells the next daemon of this data folder when the commands of this one are gone.
fn commands_lock(config: &Config) -> CommandsLock {
    CommandsLock::new(config.data_dir.join("commands.lock"))
}
