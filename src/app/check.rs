//! `nuncio check`: what would run, without running it.

use super::gateway::{Edges, gateway};
use super::output::say;
use super::sandbox::Sandbox;
use super::{AppError, servers, store, upstreams, workspaces};
use crate::config::mcp::McpServer;
use crate::config::{Config, Loaded};
use crate::system;
use crate::tools::skills::Skills;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// Prints the configuration, builds what it describes, and asks every upstream for its models. An upstream that does
/// not answer is said and is no error: it may be up when the daemon is.
pub async fn run(mut loaded: Loaded) -> Result<(), AppError> {
    let source = upstreams::settle(&mut loaded).await;
    let file = loaded.file.as_ref().map_or("none, so defaults".to_owned(), |file| file.display().to_string());
    say(&format!("file      {file}"))?;
    for line in loaded.config.summary() {
        say(&line)?;
    }
    say(&format!("upstream  chosen {source}"))?;
    let sandbox = Sandbox::find(&loaded.config).await?;
    for line in sandbox.summary(&loaded.config).iter().chain(&sandbox.layers()) {
        say(line)?;
    }
    let mut trial = Trial::of(&loaded.config).await?;
    if sandbox.workers().is_some() {
        for name in trial.leave_folders_alone() {
            say(&format!("untried   mcp {name}: its `cwd` would be given to the user that it runs as"))?;
        }
    }
    let hub = Arc::new(servers::hub(&trial.config, trial.sandbox.as_ref().unwrap_or(&sandbox))?);
    let edges = Edges { hub, ..Edges::new(&loaded.config, sandbox)? };
    let gateway = gateway(&loaded.config, store::check(&loaded.config)?, &edges)?;
    edges.hub.start();
    let longest = loaded.config.mcp_servers.values().map(|server| server.start_timeout).max().unwrap_or_default();
    edges.hub.tried(longest.saturating_mul(2)).await;
    for line in skills(&loaded.config) {
        say(&line)?;
    }
    let report = (gateway.probe)().await;
    for upstream in report.get("upstreams").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| upstream.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        match upstream.get("models").and_then(Value::as_u64) {
            Some(1) => say(&format!("reached   {}: 1 model", text("name")))?,
            Some(models) => say(&format!("reached   {}: {models} models", text("name")))?,
            None => say(&format!("warning   {}: {}", text("name"), text("problem")))?,
        }
    }
    for server in report.get("mcp_servers").and_then(Value::as_array).into_iter().flatten() {
        say(&line(server))?;
    }
    edges.end().await;
    say("ok")
}

/// What servers of tools are tried in, apart from the data folder: a daemon may be at work there. It is gone at the end.
struct Trial {
    config: Config,
    /// `None` where there is nothing to try.
    sandbox: Option<Sandbox>,
}

impl Trial {
    /// Leaves out the servers that have a folder, which would be given to the user that commands run as: the daemon does
    /// that, a check changes nothing. Returns their names.
    fn leave_folders_alone(&mut self) -> Vec<String> {
        let mut left_out = Vec::new();
        self.config.mcp_servers.retain(|name, server| {
            left_out.extend(server.cwd.is_some().then(|| name.clone()));
            server.cwd.is_none()
        });
        left_out
    }

    async fn of(config: &Config) -> Result<Self, AppError> {
        let mut trial = Self { config: config.clone(), sandbox: None };
        if config.mcp_servers.values().any(McpServer::is_program) {
            let folder = std::env::temp_dir().join(format!("nuncio-check-{}", Uuid::now_v7()));
            let fault = |source| AppError::DataDir { path: folder.clone(), source };
            trial.config.data_dir.clone_from(&folder);
            system::private_folder(&workspaces(&folder)?).map_err(fault)?;
            let sandbox = trial.sandbox.insert(Sandbox::find(&trial.config).await?);
            sandbox.make_folders(&trial.config).map_err(fault)?;
        }
        Ok(trial)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.sandbox.is_some() {
            let _ = std::fs::remove_dir_all(&self.config.data_dir);
        }
    }
}

/// What there is to say of a server of tools.
fn line(server: &Value) -> String {
    let text = |pointer: &str| server.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| server.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let name = text("/name");
    if text("/state") != "up" {
        return format!("warning   mcp {name}: {}", text("/last_error/message"));
    }
    let tools: Vec<&str> = list("tools").collect();
    let notes: String = list("notes").map(|note| format!("; {note}")).collect();
    format!("reached   mcp {name}: {} tools ({}){notes}", tools.len(), tools.join(", "))
}

/// The skills that profiles offer, and what is wrong with others.
fn skills(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let folders: BTreeSet<&[PathBuf]> =
        config.profiles.values().map(|profile| profile.skills(&config.skills)).collect();
    for folders in folders.into_iter().filter(|folders| !folders.is_empty()) {
        let found = Skills::new(folders.to_vec()).look();
        let names: Vec<&str> = found.skills.keys().map(String::as_str).collect();
        lines.push(format!("skills    {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
        lines.extend(found.problems.iter().map(|problem| format!("warning   {problem}")));
    }
    lines
}
