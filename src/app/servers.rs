//! The servers of tools: made of the configuration, and put beside the daemon's own tools for each profile.

use super::AppError;
use super::sandbox::Sandbox;
use crate::config::mcp::McpServer;
use crate::config::{Config, profiles};
use crate::core::ports::tool::{Tool, Toolset};
use crate::mcp::{GetPrompt, Hub, OWN_TOOLS, ReadResource, Server, ServerSettings, Transport};
use crate::sandbox::{Command, Supervisor};
use crate::tools;
use crate::tools::registry::ToolSet;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where programs are looked up if the daemon itself was started without a `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All configured servers, not yet started.
pub fn hub(config: &Config, sandbox: &Sandbox) -> Result<Hub, AppError> {
    let server = |(name, server): (&String, &McpServer)| {
        let supervisor = sandbox.supervisor(server.reach());
        let supervisor = supervisor.map_err(|reason| AppError::Server { server: name.clone(), reason })?;
        Ok(settings(name, server, config, supervisor))
    };
    Ok(Hub::new(config.mcp_servers.iter().map(server).collect::<Result<_, AppError>>()?))
}

fn settings(name: &str, server: &McpServer, config: &Config, supervisor: Supervisor) -> ServerSettings {
    ServerSettings {
        name: name.to_owned(),
        transport: transport(name, server, config, supervisor),
        allow: server.allow.clone(),
        deny: server.deny.clone(),
        trust_annotations: server.trust_annotations,
        start_timeout: server.start_timeout,
        call_timeout: server.call_timeout,
        max_output: server.max_output,
    }
}

fn transport(name: &str, server: &McpServer, config: &Config, supervisor: Supervisor) -> Transport {
    let Some(program) = &server.command else {
        let headers = server.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let (url, bearer) = (server.url.clone().unwrap_or_default(), server.bearer_token.clone());
        return Transport::Http { url, bearer, headers, guard: None };
    };
    let cwd = server.cwd.clone().unwrap_or_else(|| config.data_dir.join("mcp").join(name));
    let path = std::env::var("PATH").unwrap_or_else(|_| USUAL_PATH.to_owned());
    let usual = [("PATH", path), ("HOME", cwd.display().to_string()), ("LANG", "C.UTF-8".to_owned())];
    let mut env: BTreeMap<String, String> = usual.map(|(name, value)| (name.to_owned(), value)).into();
    env.extend(server.env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
    let (args, env) = (server.args.clone(), env.into_iter().collect());
    Transport::Stdio { command: Command { program: program.clone(), args, cwd, env }, supervisor }
}

/// The tools of one profile: the daemon's own, and those of servers as they are when they are asked for.
pub struct Tools {
    own: ToolSet,
    hub: Arc<Hub>,
    /// It says what is offered of the servers.
    profile: profiles::Profile,
    /// Put together once for every change: schemas are compiled for it.
    made: Mutex<Made>,
}

/// A set of tools, and the version of what servers offer that it was made of.
struct Made {
    version: Option<u64>,
    tools: Arc<dyn Toolset>,
}

impl Tools {
    pub fn new(own: ToolSet, hub: Arc<Hub>, profile: profiles::Profile) -> Self {
        let made = Mutex::new(Made { version: None, tools: Arc::new(own.clone()) });
        Self { own, hub, profile, made }
    }

    pub async fn now(&self) -> Arc<dyn Toolset> {
        self.hub.settled().await;
        let version = self.hub.version();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.version != Some(version) {
            // What changes meanwhile has another version, and is seen by the next run.
            *made = Made { version: Some(version), tools: Arc::new(self.own.and(self.of_servers())) };
        }
        Arc::clone(&made.tools)
    }

    fn of_servers(&self) -> Vec<Arc<dyn Tool>> {
        let taken: Vec<&str> = tools::NAMES.iter().copied().chain(OWN_TOOLS).collect();
        let offered = self.hub.tools(&taken).into_iter();
        let offered = offered.filter(|tool| self.profile.offers(&tool.server, &tool.tool)).map(|tool| tool.adapter);
        let with = |tool: &str| -> Vec<Arc<Server>> {
            let servers = self.hub.servers().iter();
            servers.filter(|server| self.profile.offers(&server.settings().name, tool)).cloned().collect()
        };
        let [resources, prompts] = OWN_TOOLS.map(with);
        let reader = ReadResource::of(&resources).map(|tool| Arc::new(tool) as Arc<dyn Tool>);
        let prompter = GetPrompt::of(&prompts).map(|tool| Arc::new(tool) as Arc<dyn Tool>);
        offered.chain(reader).chain(prompter).collect()
    }
}
