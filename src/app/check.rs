//! `nuncio check`: what would run, without running it.

use super::output::say;
use super::sandbox::Sandbox;
use super::{AppError, gateway, processes, store, upstreams};
use crate::config::Loaded;
use serde_json::Value;

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
    let gateway = gateway(&loaded.config, store::check(&loaded.config)?, &sandbox, &processes(&loaded.config))?;
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
