//! Joins everything behind the router.

use super::profile::Parts;
use super::sandbox::Sandbox;
use super::upstreams::{self, Lookout};
use super::{AppError, servers, workspaces};
use crate::config::Config;
use crate::config::server::UnknownModel;
use crate::core::ports::store::Store;
use crate::http::auth::{Key, Keys};
use crate::http::{Gateway, HttpSettings, Probe};
use crate::mcp::Hub;
use crate::runs::Runs;
use crate::runs::registry::RunsSettings;
use crate::tools::terminal::processes::{ProcessLimits, Processes};
use crate::upstream::registry::Registry;
use futures_util::FutureExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What runs reach through their tools. It outlives them all, and is ended after the last.
pub struct Edges {
    pub sandbox: Sandbox,
    /// In the background, of all sessions.
    pub processes: Processes,
    /// The servers of tools.
    pub hub: Arc<Hub>,
}

impl Edges {
    /// Nothing of it is started yet.
    pub fn new(config: &Config, sandbox: Sandbox) -> Result<Self, AppError> {
        let hub = Arc::new(servers::hub(config, &sandbox)?);
        Ok(Self { sandbox, processes: processes(config), hub })
    }

    pub async fn end(&self) {
        self.processes.end().await;
        self.hub.close().await;
    }
}

pub fn gateway(config: &Config, store: Arc<dyn Store>, edges: &Edges) -> Result<Gateway, AppError> {
    let registry = Arc::new(Registry::new(&upstreams::settings(config))?);
    let settings = RunsSettings {
        max_runs: config.server.max_runs,
        workspaces: workspaces(&config.data_dir)?.into(),
        slow_client_timeout: config.server.slow_client_timeout,
    };
    let runs = Arc::new(Runs::new(settings, Arc::clone(&store)).for_workers(edges.sandbox.workers()));
    let parts = Parts { config, registry: &registry, edges, runs: &runs, store: &store };
    let made = config.profiles.iter().map(|(id, profile)| Ok((id.clone(), Arc::new(parts.profile(id, profile)?))));
    let profiles = Arc::new(made.collect::<Result<BTreeMap<_, _>, AppError>>()?);
    runs.know(Arc::clone(&profiles));
    let default = config.default_profile().map(|(id, _)| id.to_owned());
    Ok(Gateway {
        runs,
        store,
        profiles,
        stand_in: default.filter(|_| config.server.unknown_model == UnknownModel::Default),
        keys: keys(config),
        settings: http_settings(config),
        probe: probe(registry, config, edges),
        started: Instant::now(),
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    })
}

/// The background processes of all sessions: none yet.
fn processes(config: &Config) -> Processes {
    let terminal = &config.tools.terminal;
    let limits = ProcessLimits {
        per_session: terminal.max_processes,
        idle_time: terminal.idle_time,
        lifetime: terminal.max_lifetime,
    };
    Processes::new(limits, TaskTracker::new(), CancellationToken::new())
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
fn probe(registry: Arc<Registry>, config: &Config, edges: &Edges) -> Probe {
    let (sandbox, hub) = (edges.sandbox.report(config), Arc::clone(&edges.hub));
    let lookout = Arc::new(Lookout::new(registry, config));
    Arc::new(move || {
        let (lookout, sandbox, hub) = (Arc::clone(&lookout), sandbox.clone(), Arc::clone(&hub));
        let report = async move {
            json!({"upstreams": lookout.report().await, "mcp_servers": hub.report(), "sandbox": sandbox})
        };
        report.boxed()
    })
}
