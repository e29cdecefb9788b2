//! All servers of the daemon, and the names that their tools go by.

use super::adapter::Adapter;
use super::names::assign;
use super::server::{Phase, Server, State};
use super::settings::{ServerSettings, Transport};
use crate::core::ports::tool::Tool;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// After the daemon's start: a run that begins in this time waits until each server is up or has failed.
const GRACE: Duration = Duration::from_secs(3);

/// What all servers get to end in. Whatever is left then dies with the daemon.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Keeps the servers. They run from [`Hub::start`] to [`Hub::close`].
pub struct Hub {
    /// In the order of their names.
    servers: Vec<Arc<Server>>,
    version: Arc<AtomicU64>,
    keepers: TaskTracker,
    stop: CancellationToken,
    started: OnceLock<Instant>,
}

/// A tool of a server.
pub struct Offered {
    pub server: String,
    /// What it is called there.
    pub tool: String,
    pub adapter: Arc<dyn Tool>,
}

/// A connection to a server that a request has named. Dropping it ends it.
pub struct Visit {
    server: Arc<Server>,
    _stop: DropGuard,
}

impl Visit {
    /// The tools of all servers that are visited; none is called as one in `taken`.
    pub fn tools(visits: &[Self], taken: &[&str]) -> Vec<Offered> {
        let servers: Vec<Arc<Server>> = visits.iter().map(|visit| Arc::clone(&visit.server)).collect();
        tools(&servers, taken)
    }
}

impl Hub {
    pub fn new(servers: Vec<ServerSettings>) -> Self {
        let version = Arc::<AtomicU64>::default();
        let server = |settings| Arc::new(Server::new(settings, Arc::clone(&version)));
        let mut servers: Vec<Arc<Server>> = servers.into_iter().map(server).collect();
        servers.sort_by(|a, b| a.settings().name.cmp(&b.settings().name));
        let (keepers, stop, started) = (TaskTracker::new(), CancellationToken::new(), OnceLock::new());
        Self { servers, version, keepers, stop, started }
    }

    /// Starts all servers, and waits for none.
    pub fn start(&self) {
        if self.started.set(Instant::now()).is_ok() {
            for server in &self.servers {
                self.keepers.spawn(Arc::clone(server).keep(self.stop.clone()));
            }
        }
    }

    /// Waits until each server has been up or failed once, but not for long after the start.
    pub async fn settled(&self) {
        if let Some(started) = self.started.get() {
            let _ = timeout_at(*started + GRACE, self.all_tried()).await;
        }
    }

    /// The same for one who wants to know, up to a limit.
    pub async fn tried(&self, limit: Duration) {
        let _ = timeout(limit, self.all_tried()).await;
    }

    async fn all_tried(&self) {
        for server in &self.servers {
            server.tried().await;
        }
    }

    /// Another number means that something else is offered.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The tools of all servers; none is called as one in `taken`.
    pub fn tools(&self, taken: &[&str]) -> Vec<Offered> {
        tools(&self.servers, taken)
    }

    /// Connects to a server that is not the daemon's, for as long as the visit is held. The error says why not.
    pub async fn visit(&self, settings: ServerSettings) -> Result<Visit, String> {
        let server = Arc::new(Server::new(settings, Arc::default()));
        let stop = self.stop.child_token();
        self.keepers.spawn(Arc::clone(&server).keep(stop.clone()));
        let visit = Visit { server, _stop: stop.drop_guard() };
        visit.server.tried().await;
        let state = visit.server.state();
        match state.phase {
            Phase::Up => Ok(visit),
            Phase::Starting | Phase::Waiting => Err(state.last_error.map(|error| error.message).unwrap_or_default()),
        }
    }

    /// How the servers do, for people and monitors.
    pub fn report(&self) -> Value {
        self.servers.iter().map(|server| report(server)).collect()
    }

    /// Ends all servers.
    pub async fn close(&self) {
        self.stop.cancel();
        self.keepers.close();
        let _ = timeout(LAST_WORDS, self.keepers.wait()).await;
    }
}

/// The tools of some servers; none is called as one in `taken`.
fn tools(servers: &[Arc<Server>], taken: &[&str]) -> Vec<Offered> {
    let states: Vec<(&Arc<Server>, State)> = servers.iter().map(|server| (server, server.state())).collect();
    let named = |(server, state): &'_ (&Arc<Server>, State)| {
        (server.settings().name.clone(), state.listing.tools.keys().cloned().collect::<Vec<_>>())
    };
    let named: Vec<(String, Vec<String>)> = states.iter().map(named).collect();
    let borrowed: Vec<(&str, Vec<&str>)> =
        named.iter().map(|(server, tools)| (&**server, tools.iter().map(|tool| &**tool).collect())).collect();
    let names = assign(&borrowed, taken);
    let mut offered = Vec::new();
    for ((server, state), names) in states.iter().zip(names) {
        for (tool, name) in state.listing.tools.values().zip(names) {
            let adapter = Arc::new(Adapter::new(server, tool, name));
            offered.push(Offered { server: server.settings().name.clone(), tool: tool.name.clone(), adapter });
        }
    }
    offered
}

fn report(server: &Server) -> Value {
    let (settings, state) = (server.settings(), server.state());
    let (transport, place) = match &settings.transport {
        Transport::Stdio { command, .. } => ("stdio", command.program.clone()),
        // What stands after the question mark may be a key.
        Transport::Http { url, .. } => ("http", url.split('?').next().unwrap_or_default().to_owned()),
    };
    let phase = match state.phase {
        Phase::Starting => "starting",
        Phase::Up => "up",
        Phase::Waiting => "waiting",
    };
    let tools: Vec<&String> = state.listing.tools.keys().collect();
    let prompts: Vec<&String> = state.listing.prompts.iter().map(|prompt| &prompt.name).collect();
    json!({
        "name": settings.name,
        "transport": transport,
        "place": place,
        "state": phase,
        "tools": tools,
        "resources": state.listing.has_resources,
        "prompts": prompts,
        "restarts": state.restarts,
        "last_error": state.last_error.map(|error| json!({"message": error.message, "at": error.at})),
        "notes": state.listing.notes,
    })
}
