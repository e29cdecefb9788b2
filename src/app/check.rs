//! `nuncio check`: what would run, without running it.

use super::output::say;
use super::sandbox::Sandbox;
use super::{AppError, gateway, store, upstreams};
use crate::config::{Config, Loaded};
use crate::tools::skills::Skills;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

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
    let gateway = gateway(&loaded.config, store::check(&loaded.config)?, &sandbox)?;
    for line in skills(&loaded.config) {
        say(&line)?;
    }
    let edges = (gateway.probe)().await;
    for upstream in edges.get("upstreams").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| upstream.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        match upstream.get("models").and_then(Value::as_u64) {
            Some(1) => say(&format!("reached   {}: 1 model", text("name")))?,
            Some(models) => say(&format!("reached   {}: {models} models", text("name")))?,
            None => say(&format!("warning   {}: {}", text("name"), text("problem")))?,
        }
    }
    say("ok")
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
