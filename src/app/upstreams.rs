//! Which upstreams there are: from the configuration, or found at start.

use crate::config::environment::UpstreamSource;
use crate::config::upstreams::{DEFAULT, MaxTokensField, REHEARSAL_MODEL, StructuredOutput, Upstream, UpstreamKind};
use crate::config::{Config, Loaded};
use crate::core::format::FormatSupport;
use crate::upstream::discover::{self, OLLAMA, Ollama};
use crate::upstream::registry::{REHEARSAL, Registry, UpstreamReport};
use crate::upstream::settings::{self, UpstreamSettings};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long an upstream may take to list its models.
const MODELS_TIME: Duration = Duration::from_secs(3);

/// Sees to it that there is an upstream, and says why it is this one.
pub async fn settle(loaded: &mut Loaded) -> String {
    let asked = match &loaded.upstream_source {
        UpstreamSource::Configured => return "from the configuration".to_owned(),
        UpstreamSource::Environment { variable } => return format!("because {variable} is set"),
        UpstreamSource::Nowhere { model } => model.clone(),
    };
    let nothing = "because no upstream is configured, neither OPENAI_API_KEY nor OPENROUTER_API_KEY is set";
    let (upstream, reason) = match discover::ollama(OLLAMA).await {
        Ollama::Found { base_url, model } => {
            let model = Some(asked.unwrap_or(model));
            let reason = format!("{nothing}, and an Ollama answers on 127.0.0.1:11434");
            (Upstream { base_url: Some(base_url), model, ..Upstream::default() }, reason)
        }
        Ollama::WithoutTools { models } => {
            let reason = format!(
                "{nothing}, and no model of the Ollama on 127.0.0.1:11434 ({models} there) is known to call tools"
            );
            (rehearsal(), reason + unused(asked.as_deref()))
        }
        Ollama::Absent => {
            let reason = format!("{nothing}, and no Ollama answers on 127.0.0.1:11434");
            (rehearsal(), reason + unused(asked.as_deref()))
        }
    };
    loaded.config.upstreams.insert(DEFAULT.to_owned(), upstream);
    reason
}

/// Said where a model was asked for and there is no one to ask.
fn unused(asked: Option<&str>) -> &'static str {
    if asked.is_some() {
        "; NUNCIO_UPSTREAM_MODEL is not used: it needs NUNCIO_UPSTREAM_BASE_URL beside it"
    } else {
        ""
    }
}

fn rehearsal() -> Upstream {
    let model = Some(REHEARSAL_MODEL.to_owned());
    Upstream { kind: UpstreamKind::Rehearsal, model, ..Upstream::default() }
}

/// The configured servers, as the registry wants them.
pub fn settings(config: &Config) -> Vec<UpstreamSettings> {
    let servers = config.upstreams.iter().filter(|(_, upstream)| upstream.kind == UpstreamKind::OpenaiChat);
    servers
        .map(|(name, upstream)| UpstreamSettings {
            name: name.clone(),
            base_url: upstream.base_url.clone().unwrap_or_default(),
            api_key: upstream.api_key.clone(),
            headers: upstream.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            connect_timeout: upstream.connect_timeout,
            first_byte_timeout: upstream.first_byte_timeout,
            idle_timeout: upstream.idle_timeout,
            max_retries: upstream.max_retries,
            retry_base_delay: upstream.retry_base_delay,
            max_tokens_field: match upstream.max_tokens_field {
                MaxTokensField::Auto => settings::MaxTokensField::Auto,
                MaxTokensField::MaxTokens => settings::MaxTokensField::MaxTokens,
                MaxTokensField::MaxCompletionTokens => settings::MaxTokensField::MaxCompletionTokens,
            },
            format_support: match upstream.structured_output {
                StructuredOutput::Auto => None,
                StructuredOutput::Enforced => Some(FormatSupport::Enforced),
                StructuredOutput::Passed => Some(FormatSupport::Passed),
                StructuredOutput::Prompted => Some(FormatSupport::Prompted),
            },
        })
        .collect()
}

/// The name under which the registry has a configured upstream.
pub fn registered<'a>(config: &Config, name: &'a str) -> &'a str {
    let is_rehearsal = config.upstreams.get(name).is_some_and(|upstream| upstream.kind == UpstreamKind::Rehearsal);
    if is_rehearsal { REHEARSAL } else { name }
}

/// Of each upstream, in the registry's order, how many models it has or why it did not say.
type Answers = Vec<Result<usize, String>>;

/// How the upstreams do, for people and monitors.
pub struct Lookout {
    registry: Arc<Registry>,
    /// Names of those that the configuration has: the registry has the rehearsal besides.
    configured: HashSet<String>,
    /// The last time each was asked for its models, and what came of it. Kept for a while, because a monitor may ask
    /// every second and each question is a request that the upstream may count.
    asked: Mutex<Option<(Instant, Answers)>>,
}

/// How long an answer to "are you there" holds.
const ASK_INTERVAL: Duration = Duration::from_secs(10);

impl Lookout {
    pub fn new(registry: Arc<Registry>, config: &Config) -> Self {
        let configured = config.upstreams.keys().map(|name| registered(config, name).to_owned()).collect();
        Self { registry, configured, asked: Mutex::default() }
    }

    fn upstreams(&self) -> impl Iterator<Item = UpstreamReport<'_>> {
        self.registry.report().filter(|upstream| self.configured.contains(upstream.name))
    }

    pub async fn report(&self) -> Value {
        let mut asked = self.asked.lock().await;
        let (at, answers) = match asked.take().filter(|(at, _)| at.elapsed() < ASK_INTERVAL) {
            Some(fresh) => fresh,
            None => (Instant::now(), join_all(self.upstreams().map(|upstream| self.ask(upstream.name))).await),
        };
        let lines = self.upstreams().zip(&answers).map(|(upstream, models)| {
            let last_error = upstream.health.last_error();
            json!({
                "name": upstream.name,
                "base_url": upstream.base_url,
                "reachable": models.is_ok(),
                "models": models.as_ref().ok(),
                "problem": models.as_ref().err(),
                "last_success": upstream.health.last_success(),
                "last_error": last_error.map(|error| json!({"message": error.message, "at": error.at})),
            })
        });
        let report = lines.collect();
        *asked = Some((at, answers));
        report
    }

    async fn ask(&self, name: &str) -> Result<usize, String> {
        match self.registry.models(name, MODELS_TIME).await {
            Ok(models) => Ok(models.len()),
            Err(failure) => Err(failure.to_string()),
        }
    }
}
