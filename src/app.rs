//! Wiring: the only place that names concrete upstreams, tools and stores.

mod check;
mod daemon;
mod equipment;
mod greeting;
mod output;
mod sandbox;
mod store;
mod told;
mod upstreams;
mod web;

use self::sandbox::Sandbox;
use crate::cli::{Cli, Command, Flags, KeyCommand};
use crate::config::error::ConfigError;
use crate::config::profiles::{self, AllowedTools};
use crate::config::sandbox::Level;
use crate::config::server::UnknownModel;
use crate::config::{Config, Loaded, auth};
use crate::core::format::OutputFormat;
use crate::core::ports::notes::Notes;
use crate::core::ports::store::Store;
use crate::core::run::{Agent, Delegation, Limits};
use crate::dialect::activity::ToolActivity;
use crate::dialect::fields::Fields;
use crate::dialect::format;
use crate::http::auth::{Key, Keys};
use crate::http::{Gateway, HttpSettings, Probe};
use crate::runs::format::AnswerCheck;
use crate::runs::registry::RunsSettings;
use crate::runs::{Profile, Runs};
use crate::sandbox::CommandsLock;
use crate::store::sqlite::OpenError;
use crate::tools::memory::Memory;
use crate::tools::registry::{Allowed, RegistryError};
use crate::tools::skills::Skills;
use crate::tools::{self, Means, ToolSettings};
use crate::upstream::registry::{ChainError, Registry};
use crate::upstream::server::SetupError;
use crate::{system, telemetry};
use futures_util::FutureExt;
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use told::Told;
use upstreams::Lookout;

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

/// Joins everything behind the router.
fn gateway(config: &Config, store: Arc<dyn Store>, sandbox: &Sandbox) -> Result<Gateway, AppError> {
    let registry = Arc::new(Registry::new(&upstreams::settings(config))?);
    let settings = RunsSettings {
        max_runs: config.server.max_runs,
        workspaces: workspaces(&config.data_dir)?.into(),
        slow_client_timeout: config.server.slow_client_timeout,
    };
    let runs = Arc::new(Runs::new(settings, Arc::clone(&store)).for_workers(sandbox.workers()));
    let mut made = BTreeMap::new();
    for (id, profile) in &config.profiles {
        made.insert(id.clone(), Arc::new(self::profile(id, profile, config, &registry, sandbox, (&runs, &store))?));
    }
    let profiles = Arc::new(made);
    runs.know(Arc::clone(&profiles));
    let default = config.default_profile().map(|(id, _)| id.to_owned());
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Gateway {
        runs,
        store,
        profiles,
        stand_in: default.filter(|_| config.server.unknown_model == UnknownModel::Default),
        keys: keys(config),
        settings: http_settings(config),
        probe: probe(registry, config, sandbox),
        started: Instant::now(),
        started_at,
    })
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

fn tool_settings(config: &Config) -> ToolSettings {
    let tools = &config.tools;
    ToolSettings {
        output_limit: tools.output_limit,
        read_limit: tools.files.max_size as u64,
        max_matches: tools.search.max_matches as u64,
        terminal_max_time: tools.terminal.max_time,
        shell: tools.terminal.shell().display().to_string(),
        fetch_url: web::fetch_settings(&tools.fetch_url),
        web_search: tools.web_search.as_ref().and_then(web::search_settings),
    }
}

fn profile(
    id: &str,
    profile: &profiles::Profile,
    config: &Config,
    registry: &Registry,
    sandbox: &Sandbox,
    (runs, store): (&Arc<Runs>, &Arc<dyn Store>),
) -> Result<Profile, AppError> {
    let fault = |reason: String| AppError::Profile { profile: id.to_owned(), reason };
    let targets = profile.targets(&config.upstreams).map_err(|error| fault(error.to_string()))?;
    let chain: Vec<(&str, &str)> =
        targets.iter().map(|target| (upstreams::registered(config, &target.upstream), target.model.as_str())).collect();
    let upstream = registry.chain(&chain).map_err(|error: ChainError| fault(error.to_string()))?;
    let allowed = match &profile.tools {
        AllowedTools::All => Allowed::All,
        AllowedTools::Only(names) => Allowed::Only(names.clone()),
    };
    let supervisor = sandbox.supervisor(profile.reach()).map_err(fault)?;
    let means = means(profile, config, runs, store);
    let tools = tools::builtin(tool_settings(config), supervisor, &means)?.select(&allowed)?;
    let format = format(profile).map_err(fault)?;
    let agent = Agent {
        instructions: Some(profile.instructions.trim()).filter(|text| !text.is_empty()).map(Into::into),
        limits: limits(profile, config),
        context_window: profile.context_window.map(u64::from),
        sampling: profile.sampling.clone(),
        format: format.map(Arc::new),
        format_support: upstream.format_support(),
        ..Agent::default()
    };
    if let Some(workspace) = &profile.workspace {
        let problem = |error| fault(format!("the workspace {} cannot be used: {error}", workspace.display()));
        system::check_folder(workspace).map_err(problem)?;
        if profile.sandbox != Level::Off {
            sandbox.keep_out_of_data(workspace).map_err(|error| fault(format!("workspace: {error}")))?;
        }
    }
    Ok(Profile {
        id: id.to_owned(),
        description: profile.description.clone(),
        housekeeping: Profile::housekeeping_of(&agent),
        agent: Arc::new(agent),
        upstream,
        equipment: Arc::new(equipment::Own { told: Told::of(&tools, means), tools }),
        tool_activity: match profile.tool_activity {
            profiles::ToolActivity::Standard => ToolActivity::Standard,
            profiles::ToolActivity::Hidden => ToolActivity::Hidden,
            profiles::ToolActivity::FunctionCall => ToolActivity::FunctionCall,
        },
        on_disconnect: profile.on_disconnect,
        inherit_instructions: profile.inherit_instructions,
        workspace: profile.workspace.as_deref().map(Into::into),
    })
}

fn limits(profile: &profiles::Profile, config: &Config) -> Limits {
    let limits = &profile.limits;
    Limits {
        steps: limits.steps,
        wall_time: limits.wall_time,
        tool_time: limits.tool_time,
        tool_output: config.tools.output_limit,
        output_tokens: limits.output_tokens.map(u64::from),
        delegation: Delegation {
            depth: limits.delegate_depth,
            total: limits.delegate_total,
            at_once: limits.delegate_at_once,
        },
    }
}

/// What the tools of a profile stand on.
fn means(profile: &profiles::Profile, config: &Config, runs: &Arc<Runs>, store: &Arc<dyn Store>) -> Means {
    let notes: Arc<dyn Notes> = Arc::<dyn Store>::clone(store);
    let folders = profile.skills(&config.skills);
    Means {
        delegating: equipment::delegating(profile, config, runs),
        memory: Some(Memory::new(notes, config.tools.memory.max_size)),
        skills: (!folders.is_empty()).then(|| Skills::new(folders.to_vec())),
    }
}

/// The form of answers that a profile's `sampling` asks for, as clients do in `response_format`.
fn format(profile: &profiles::Profile) -> Result<Option<OutputFormat>, String> {
    let Some(format) = profile.sampling.get("response_format") else { return Ok(None) };
    let fields = Fields::of(format.clone(), "response_format");
    let format = fields.and_then(format::of_chat).map_err(|error| format!("sampling: {}", error.error.message))?;
    AnswerCheck::of(Some(&format)).map_err(|failure| format!("sampling: {failure}"))?;
    Ok(Some(format))
}

fn keys(config: &Config) -> Keys {
    let keys = config.auth.keys.iter();
    Keys::new(
        keys.map(|key| Key {
            name: key.name.as_str().into(),
            hash: key.hash.0,
            max_runs: key.max_runs,
            trusted_frontend: key.trusted_frontend,
        })
        .collect(),
    )
}

fn http_settings(config: &Config) -> HttpSettings {
    let server = &config.server;
    HttpSettings {
        host: server.host.clone(),
        allowed_hosts: server.allowed_hosts.clone(),
        cors_origins: server.cors_origins.clone(),
        body_limit: server.body_limit,
        header_wait: server.header_wait,
        keepalive: server.keepalive,
        websocket_time: server.websocket_time,
    }
}

/// What `/health/detailed` says of the edges.
fn probe(registry: Arc<Registry>, config: &Config, sandbox: &Sandbox) -> Probe {
    let sandbox = sandbox.report(config);
    let lookout = Arc::new(Lookout::new(registry, config));
    Arc::new(move || {
        let (lookout, sandbox) = (Arc::clone(&lookout), sandbox.clone());
        async move { json!({"upstreams": lookout.report().await, "sandbox": sandbox}) }.boxed()
    })
}
