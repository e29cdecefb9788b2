//! What the daemon is told: defaults, then one file, then the environment, then flags; checked whole before any use.

pub mod auth;
pub mod environment;
pub mod error;
mod file;
pub mod limits;
pub mod log;
pub mod mcp;
mod outline;
pub mod profiles;
pub mod sandbox;
pub mod server;
pub mod skills;
pub mod store;
mod summary;
pub mod tools;
pub mod upstreams;
pub mod value;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use self::{
    auth::Auth,
    environment::{Environment, Lookup, UpstreamSource},
    error::{ConfigError, Origin, Problem, Problems, Sources},
    file::Document,
    log::Log,
    mcp::McpServer,
    profiles::Profile,
    sandbox::Sandbox,
    server::Server,
    skills::Skills,
    store::Store,
    tools::Tools,
    upstreams::Upstream,
};
use crate::cli::Flags;

/// Everything that can be set, complete and checked. `Debug` shows no secrets.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub auth: Auth,
    /// By name. Empty if none is configured or implied: then the one who starts the daemon adds one, under
    /// [`upstreams::DEFAULT`].
    pub upstreams: BTreeMap<String, Upstream>,
    /// By model id; never empty.
    pub profiles: BTreeMap<String, Profile>,
    pub tools: Tools,
    /// By name.
    pub mcp_servers: BTreeMap<String, McpServer>,
    pub sandbox: Sandbox,
    pub skills: Skills,
    pub store: Store,
    pub log: Log,
    /// Absolute. Need not exist yet.
    pub data_dir: PathBuf,
}

/// A configuration and where it is from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    pub upstream_source: UpstreamSource,
}

impl Config {
    /// Reads and checks the whole configuration. `cwd` is an absolute path; `tools` are the names of the tools there
    /// are, which profiles may allow.
    pub fn load(flags: &Flags, lookup: Lookup<'_>, cwd: &Path, tools: &[&str]) -> Result<Loaded, ConfigError> {
        let env = Environment { lookup, cwd };
        let mut sources = Sources::default();
        let path = file::find(flags.config.as_deref(), &env)?;
        let mut document = Document::default();
        if let Some(path) = &path {
            let (read, outline) = file::read(path)?;
            document = read;
            sources.file = Some((path.clone(), outline));
        }
        environment::apply(&env, &mut document, &mut sources)?;
        apply_flags(flags, &mut document, &mut sources);
        let upstream_source = environment::settle_upstreams(&env, &mut document.upstreams, &mut sources)?;
        let config = complete(document, &env, &sources, tools)?;
        Ok(Loaded { config: config.rename_default(&env)?, file: path, upstream_source })
    }

    /// The profile that stands in for unknown model ids and whose id `API_SERVER_MODEL_NAME` sets. A loaded
    /// configuration always has one.
    pub fn default_profile(&self) -> Option<(&str, &Profile)> {
        self.profiles.iter().find(|(_, profile)| profile.default).map(|(id, profile)| (id.as_str(), profile))
    }

    fn rename_default(mut self, env: &Environment<'_>) -> Result<Self, Problem> {
        const VARIABLE: &str = "API_SERVER_MODEL_NAME";
        let Some(new) = env.get(VARIABLE)? else {
            return Ok(self);
        };
        profiles::check_id(&new).map_err(|message| Problem::of_variable(VARIABLE, message))?;
        let Some(old) = self.default_profile().map(|(id, _)| id.to_owned()) else {
            return Ok(self);
        };
        if old != new && self.profiles.contains_key(&new) {
            let message = format!("expected a name that no other profile has; found `{new}`");
            return Err(Problem::of_variable(VARIABLE, message));
        }
        for delegate in self.profiles.values_mut().flat_map(|profile| &mut profile.delegates) {
            if *delegate == old {
                delegate.clone_from(&new);
            }
        }
        if let Some(profile) = self.profiles.remove(&old) {
            self.profiles.insert(new, profile);
        }
        Ok(self)
    }

    fn check(&self, tools: &[&str], problems: &mut Problems<'_>) {
        self.server.check(!self.auth.keys.is_empty(), problems);
        self.auth.check(problems);
        for (name, upstream) in &self.upstreams {
            let at = value::join("upstreams", name);
            problems.check(at.clone(), value::check_name(name));
            upstream.check(&at, problems);
        }
        let ids: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
        for (id, profile) in &self.profiles {
            let at = value::join("profiles", id);
            problems.check(at.clone(), profiles::check_id(id));
            profile.check(&at, &self.upstreams, tools, &self.mcp_servers, &ids, problems);
            self.tools.check_use(&at, &profile.tools, problems);
            profile.check_skills(&at, &self.skills, problems);
        }
        for (name, server) in &self.mcp_servers {
            let at = value::join("mcp_servers", name);
            problems.check(at.clone(), value::check_name(name));
            server.check(&at, problems);
        }
        self.tools.check(problems);
        self.sandbox.check(problems);
        self.store.check(problems);
        self.log.check(problems);
    }
}

fn apply_flags(flags: &Flags, document: &mut Document, sources: &mut Sources) {
    let mut outrank = |key: &str, flag| sources.outrank(key, Origin::Flag(flag));
    if let Some(host) = &flags.host {
        document.server.host.clone_from(host);
        outrank("server.host", "--host");
    }
    if let Some(port) = flags.port {
        document.server.port = port;
        outrank("server.port", "--port");
    }
    if let Some(folder) = &flags.data_dir {
        document.data_dir = Some(folder.clone());
        outrank("data_dir", "--data-dir");
    }
    if let Some(format) = flags.log_format {
        document.log.format = format;
        outrank("log.format", "--log-format");
    }
}

/// Fills in what depends on the surroundings, and checks the result.
fn complete(
    mut document: Document,
    env: &Environment<'_>,
    sources: &Sources,
    tools: &[&str],
) -> Result<Config, ConfigError> {
    let mut problems = Problems::new(sources);
    let data_dir = data_dir(document.data_dir.as_deref(), env, sources, &mut problems);
    mark_default(&mut document.profiles, sources, &mut problems);
    for (id, profile) in &mut document.profiles {
        let at = value::join("profiles", id);
        if let Some(workspace) = &mut profile.workspace {
            resolve(workspace, format!("{at}.workspace"), env, sources, &mut problems);
        }
        resolve_all(&mut profile.read, &format!("{at}.read"), env, sources, &mut problems);
        resolve_all(&mut profile.write, &format!("{at}.write"), env, sources, &mut problems);
        resolve_all(profile.skills.iter_mut().flatten(), &format!("{at}.skills"), env, sources, &mut problems);
    }
    resolve_all(&mut document.skills.paths, "skills.paths", env, sources, &mut problems);
    for (name, upstream) in &mut document.upstreams {
        upstream.fetch_key(&value::join("upstreams", name), env, &mut problems);
        if let Some(base_url) = &mut upstream.base_url {
            base_url.truncate(base_url.trim_end_matches('/').len());
        }
    }
    complete_servers(&mut document.mcp_servers, env, sources, &mut problems);
    document.tools.fetch_keys(env, &mut problems);
    if let Some(path) = &mut document.store.path {
        resolve(path, "store.path".to_owned(), env, sources, &mut problems);
    }
    let Document {
        mut server,
        auth,
        upstreams,
        profiles,
        tools: tool_limits,
        mcp_servers,
        sandbox,
        skills,
        store,
        log,
        ..
    } = document;
    // A bare IPv6 address binds; the brackets belong to URLs, from which people copy it.
    server.host = server.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let config = Config {
        server,
        auth,
        upstreams,
        profiles,
        tools: tool_limits,
        mcp_servers,
        sandbox,
        skills,
        store,
        log,
        data_dir,
    };
    config.check(tools, &mut problems);
    problems.into_result().map(|()| config)
}

fn complete_servers(
    servers: &mut BTreeMap<String, McpServer>,
    env: &Environment<'_>,
    sources: &Sources,
    problems: &mut Problems<'_>,
) {
    for (name, server) in servers {
        let at = value::join("mcp_servers", name);
        server.fetch(&at, env, problems);
        if let Some(command) = server.command.as_mut().filter(|command| command.contains('/')) {
            let key = format!("{at}.command");
            match env.absolute(command.as_ref(), base(&key, env, sources)) {
                Ok(path) => *command = path.display().to_string(),
                Err(message) => problems.add(key, message),
            }
        }
        if let Some(cwd) = &mut server.cwd {
            resolve(cwd, format!("{at}.cwd"), env, sources, problems);
        }
        resolve_all(&mut server.read, &format!("{at}.read"), env, sources, problems);
        resolve_all(&mut server.write, &format!("{at}.write"), env, sources, problems);
    }
}

/// Makes a path absolute that the key `key` holds.
fn resolve(path: &mut PathBuf, key: String, env: &Environment<'_>, sources: &Sources, problems: &mut Problems<'_>) {
    match env.absolute(path, base(&key, env, sources)) {
        Ok(absolute) => *path = absolute,
        Err(message) => problems.add(key, message),
    }
}

/// The same for a list of paths.
fn resolve_all<'a>(
    paths: impl IntoIterator<Item = &'a mut PathBuf>,
    key: &str,
    env: &Environment<'_>,
    sources: &Sources,
    problems: &mut Problems<'_>,
) {
    for (index, path) in paths.into_iter().enumerate() {
        resolve(path, format!("{key}[{index}]"), env, sources, problems);
    }
}

fn data_dir(named: Option<&Path>, env: &Environment<'_>, sources: &Sources, problems: &mut Problems<'_>) -> PathBuf {
    let usual = || env.folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("nuncio"));
    let path = match named {
        Some(path) => Ok(path.to_owned()),
        None => usual().ok_or_else(|| "expected a folder: set NUNCIO_DATA_DIR, --data-dir or HOME".to_owned()),
    };
    path.and_then(|path| env.absolute(&path, base("data_dir", env, sources))).unwrap_or_else(|message| {
        problems.add("data_dir", message);
        PathBuf::new()
    })
}

/// What a relative path is relative to: the file it is written in, or else the working folder.
fn base<'a>(key: &str, env: &Environment<'a>, sources: &'a Sources) -> &'a Path {
    match (sources.origin(key), &sources.file) {
        (Origin::File { .. }, Some((path, _))) => path.parent().unwrap_or(env.cwd),
        _ => env.cwd,
    }
}

/// Sees to it that exactly one profile is the default one: the marked one, or else the first in the file.
fn mark_default(profiles: &mut BTreeMap<String, Profile>, sources: &Sources, problems: &mut Problems<'_>) {
    if profiles.is_empty() {
        profiles.insert(profiles::NUNCIO.to_owned(), Profile::default());
    }
    let marked: Vec<&String> = profiles.iter().filter(|(_, profile)| profile.default).map(|(id, _)| id).collect();
    if let Some(second) = marked.get(1) {
        let key = format!("{}.default", value::join("profiles", second));
        problems.add(key, "expected one default profile; an earlier one is marked too");
    }
    if marked.is_empty() {
        let rank = |id: &&String| sources.rank(&value::join("profiles", id));
        let first = profiles.keys().min_by_key(rank).cloned();
        if let Some(profile) = first.and_then(|id| profiles.get_mut(&id)) {
            profile.default = true;
        }
    }
}
