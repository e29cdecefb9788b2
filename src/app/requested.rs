//! Servers of tools that a request names: whether it may, and their tools beside those of the profile.

use super::web::fetch_settings;
use crate::config::{Config, profiles};
use crate::core::asked::{AskedServer, Withheld};
use crate::core::failure::{Failure, FailureKind};
use crate::core::ports::equipment::Equipped;
use crate::core::ports::tool::{Tool, ToolList, Toolset};
use crate::mcp::{Hub, OWN_TOOLS, ServerSettings, Transport, Visit};
use crate::tools::registry::ToolSet;
use crate::web::guard::Guard;
use futures_util::future::try_join_all;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// For a server to answer and to list its tools. The client waits for it.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// What the requests to one profile may name.
pub struct Requested {
    hub: Arc<Hub>,
    allowed: profiles::McpRequests,
    /// The rules of `fetch_url`: such an address is as little the operator's as a page's.
    guard: Guard,
    max_output: usize,
}

impl Requested {
    pub fn new(profile: &profiles::Profile, config: &Config, hub: Arc<Hub>) -> Self {
        let guard = Guard::new(fetch_settings(&config.tools.fetch_url).rules);
        Self { hub, allowed: profile.mcp_requests.clone(), guard, max_output: config.tools.output_limit }
    }

    pub fn takes_any(&self) -> bool {
        !self.allowed.allow.is_empty()
    }

    pub async fn join(&self, equipped: Equipped, servers: &[AskedServer]) -> Result<Equipped, Failure> {
        let visits = try_join_all(servers.iter().map(|server| self.visit(server))).await?;
        Ok(Equipped { tools: Arc::new(Joined::new(equipped.tools, visits)), ..equipped })
    }

    async fn visit(&self, server: &AskedServer) -> Result<Visit, Failure> {
        let field = format!("{}.server_url", server.field);
        let fail = |text: String| Failure::new(FailureKind::InvalidRequest, text).with_param(&field);
        let url = Url::parse(&server.url).map_err(|_| fail(format!("`{field}` must be an http or https URL.")))?;
        let host = url.host_str().unwrap_or_default();
        if !self.allowed.allows(host) {
            return Err(fail(format!(
                "`{field}` is at `{host}`, which this model takes no servers from: that is for the operator to allow, in \
                 the profile's `mcp_requests.allow`."
            )));
        }
        self.guard.check(&url).map_err(|refusal| fail(format!("`{field}` may not be called: {refusal}.")))?;
        let secret = |Withheld(text): &Withheld| text.as_str().into();
        let settings = ServerSettings {
            name: server.label.clone(),
            transport: Transport::Http {
                url: server.url.clone(),
                bearer: server.authorization.as_ref().map(secret),
                headers: server.headers.iter().map(|(name, value)| (name.clone(), secret(value))).collect(),
                guard: Some(self.guard.clone()),
            },
            allow: server.allowed.clone(),
            deny: Vec::new(),
            trust_annotations: false,
            start_timeout: START_TIMEOUT,
            call_timeout: None,
            max_output: self.max_output,
        };
        let label = &server.label;
        let visit = self.hub.visit(settings).await;
        visit.map_err(|reason| fail(format!("The MCP server `{label}` (`{field}`) cannot be used: {reason}.")))
    }
}

/// The tools of a run, and those of the servers that its request names. The connections end with it.
struct Joined {
    own: Arc<dyn Toolset>,
    theirs: ToolSet,
    specs: ToolList,
    with_effects: Arc<HashSet<String>>,
    _visits: Vec<Visit>,
}

impl Joined {
    fn new(own: Arc<dyn Toolset>, visits: Vec<Visit>) -> Self {
        let specs = own.specs();
        let taken: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).chain(OWN_TOOLS).collect();
        let tools = Visit::tools(&visits, &taken).into_iter().map(|offered| offered.adapter);
        let theirs = ToolSet::default().and(tools);
        let specs = specs.iter().chain(theirs.specs().iter()).cloned().collect();
        let with_effects = own.with_effects().iter().chain(theirs.with_effects().iter()).cloned().collect();
        Self { own, theirs, specs, with_effects: Arc::new(with_effects), _visits: visits }
    }
}

impl Toolset for Joined {
    fn specs(&self) -> ToolList {
        self.specs.clone()
    }

    fn with_effects(&self) -> Arc<HashSet<String>> {
        Arc::clone(&self.with_effects)
    }

    fn get(&self, name: &str) -> Option<Arc<dyn Tool>> {
        Toolset::get(&self.theirs, name).or_else(|| self.own.get(name))
    }

    fn check(&self, name: &str, arguments: &Value) -> Result<(), String> {
        match Toolset::get(&self.theirs, name) {
            Some(_) => self.theirs.check(name, arguments),
            None => self.own.check(name, arguments),
        }
    }
}
