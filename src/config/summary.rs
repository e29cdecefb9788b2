//! What would run, in lines for people; no secrets.

use super::{
    Config,
    log::Format,
    mcp::McpServer,
    profiles::{AllowedTools, Profile},
    upstreams::{Upstream, UpstreamKind},
    value::show_duration,
};

impl Config {
    /// One setting a line, `name  value`; for `nuncio check` and the start-up message.
    pub fn summary(&self) -> Vec<String> {
        let form = match self.log.format {
            Format::Text => "text",
            Format::Json => "json",
        };
        let mut lines = vec![
            line("listen", &format!("{}:{}", self.server.host, self.server.port)),
            line("keys", &self.keys()),
            line("data", &self.data_dir.display().to_string()),
            line("store", &self.describe_store()),
            line("log", &format!("{}, as {form}", self.log.filter)),
        ];
        lines
            .extend(self.upstreams.iter().map(|(name, upstream)| line("upstream", &describe_upstream(name, upstream))));
        lines.extend(self.mcp_servers.iter().map(|(name, server)| line("mcp", &describe_server(name, server))));
        lines.extend(self.profiles.iter().map(|(id, profile)| line("profile", &self.describe_profile(id, profile))));
        lines
    }

    fn keys(&self) -> String {
        let names: Vec<&str> = self.auth.keys.iter().map(|key| key.name.as_str()).collect();
        if names.is_empty() { "none: open to this machine".to_owned() } else { names.join(", ") }
    }

    fn describe_store(&self) -> String {
        let Some(path) = self.store.database(&self.data_dir) else { return "memory, gone at the end".to_owned() };
        let age = self.store.max_age.map(|age| format!(", unused for {} at most", show_duration(age)));
        format!("{}, up to {} responses{}", path.display(), self.store.max_responses, age.unwrap_or_default())
    }

    fn describe_profile(&self, id: &str, profile: &Profile) -> String {
        let models = match profile.targets(&self.upstreams) {
            Ok(targets) => {
                let places = targets.iter().map(|target| format!("{} at {}", target.model, target.upstream));
                places.collect::<Vec<_>>().join(", then ")
            }
            Err(_) => "upstream found at start".to_owned(),
        };
        let tools = match &profile.tools {
            AllowedTools::All => "all tools".to_owned(),
            AllowedTools::Only(names) if names.is_empty() => "no tools".to_owned(),
            AllowedTools::Only(names) => names.join(", "),
        };
        let mark = if profile.default { " (default)" } else { "" };
        let wall_time = show_duration(profile.limits.wall_time);
        format!("{id}{mark}: {models}; {tools}; at most {} steps, {wall_time}", profile.limits.steps)
    }
}

fn describe_upstream(name: &str, upstream: &Upstream) -> String {
    if upstream.kind == UpstreamKind::Rehearsal {
        return format!("{name}: rehearsal, built in, no language model");
    }
    let key = match (&upstream.api_key_env, &upstream.api_key) {
        (Some(variable), _) => format!("key from {variable}"),
        (None, Some(_)) => "with a key".to_owned(),
        (None, None) => "no key".to_owned(),
    };
    format!("{name}: {}, {key}", upstream.base_url.as_deref().unwrap_or_default())
}

fn describe_server(name: &str, server: &McpServer) -> String {
    match (&server.command, &server.url) {
        (Some(command), _) => format!("{name}: runs {command}"),
        // What stands after the question mark may be a key.
        (None, url) => format!("{name}: {}", url.as_deref().unwrap_or_default().split('?').next().unwrap_or_default()),
    }
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<9} {value}")
}
