//! A profile of the configuration becomes one that runs can be made with.

use super::gateway::Edges;
use super::told::Told;
use super::{AppError, equipment, requested, servers, upstreams, web};
use crate::config::profiles::{self, AllowedTools};
use crate::config::sandbox::{Level, Reach};
use crate::config::{Config, tools as settings};
use crate::core::format::OutputFormat;
use crate::core::ports::notes::Notes;
use crate::core::ports::store::Store;
use crate::core::run::{Agent, Delegation, Limits};
use crate::dialect::activity::ToolActivity;
use crate::dialect::fields::Fields;
use crate::dialect::format;
use crate::runs::format::AnswerCheck;
use crate::runs::{Delegations, Profile, Runs};
use crate::system;
use crate::tools::delegate::{Delegate, Delegating};
use crate::tools::memory::Memory;
use crate::tools::registry::{Allowed, ToolSet};
use crate::tools::skills::Skills;
use crate::tools::{self, Means, ToolSettings};
use crate::upstream::registry::{ChainError, Registry};
use std::sync::Arc;

/// What profiles are made of.
pub struct Parts<'a> {
    pub config: &'a Config,
    pub registry: &'a Registry,
    pub edges: &'a Edges,
    pub runs: &'a Arc<Runs>,
    pub store: &'a Arc<dyn Store>,
}

impl Parts<'_> {
    pub fn profile(&self, id: &str, profile: &profiles::Profile) -> Result<Profile, AppError> {
        let fault = |reason: String| AppError::Profile { profile: id.to_owned(), reason };
        let targets = profile.targets(&self.config.upstreams).map_err(|error| fault(error.to_string()))?;
        let chain: Vec<(&str, &str)> = targets
            .iter()
            .map(|target| (upstreams::registered(self.config, &target.upstream), target.model.as_str()))
            .collect();
        let upstream = self.registry.chain(&chain).map_err(|error: ChainError| fault(error.to_string()))?;
        self.check_workspace(profile).map_err(fault)?;
        let means = self.means(profile);
        let tools = self.tools(profile, &means, fault)?;
        let agent = Agent {
            instructions: Some(profile.instructions.trim()).filter(|text| !text.is_empty()).map(Into::into),
            limits: self.limits(profile),
            context_window: profile.context_window.map(u64::from),
            sampling: profile.sampling.clone(),
            format: format(profile).map_err(fault)?.map(Arc::new),
            format_support: upstream.format_support(),
            ..Agent::default()
        };
        let hub = &self.edges.hub;
        Ok(Profile {
            id: id.to_owned(),
            description: profile.description.clone(),
            housekeeping: Profile::housekeeping_of(&agent),
            agent: Arc::new(agent),
            upstream,
            equipment: Arc::new(equipment::Common {
                told: Told::of(&tools, means),
                tools: servers::Tools::new(tools, Arc::clone(hub), profile.clone()),
                requested: requested::Requested::new(profile, self.config, Arc::clone(hub)),
            }),
            tool_activity: match profile.tool_activity {
                profiles::ToolActivity::Standard => ToolActivity::Standard,
                profiles::ToolActivity::Hidden => ToolActivity::Hidden,
                profiles::ToolActivity::FunctionCall => ToolActivity::FunctionCall,
            },
            on_disconnect: profile.on_disconnect,
            inherit_instructions: profile.inherit_instructions,
            workspace: profile.workspace.as_deref().map(Into::into),
        })
    }

    fn check_workspace(&self, profile: &profiles::Profile) -> Result<(), String> {
        let Some(workspace) = &profile.workspace else { return Ok(()) };
        let problem = |error| format!("the workspace {} cannot be used: {error}", workspace.display());
        system::check_folder(workspace).map_err(problem)?;
        match profile.sandbox {
            Level::Off => Ok(()),
            Level::Workspace | Level::Strict => {
                self.edges.sandbox.keep_out_of_data(workspace).map_err(|error| format!("workspace: {error}"))
            }
        }
    }

    /// The daemon's own tools, as far as the profile offers them.
    fn tools(
        &self,
        profile: &profiles::Profile,
        means: &Means,
        fault: impl FnOnce(String) -> AppError,
    ) -> Result<ToolSet, AppError> {
        let allowed = match &profile.tools {
            AllowedTools::All => Allowed::All,
            // The others are of servers, and are there when their server is.
            AllowedTools::Only(names) => {
                Allowed::Only(names.iter().filter(|name| tools::NAMES.contains(&name.as_str())).cloned().collect())
            }
        };
        // What a skill brings along is of no use to a command that cannot read it.
        let of_skills = means.skills.as_ref().map(Skills::readable).unwrap_or_default();
        let apart = of_skills.iter().try_for_each(|folder| self.edges.sandbox.keep_out_of_data(folder));
        if let Err(reason) = apart {
            return Err(fault(format!("skills: {reason}")));
        }
        let read: Vec<_> = profile.read.iter().cloned().chain(of_skills).collect();
        let reach = Reach { read: &read, ..profile.reach() };
        let supervisor = self.edges.sandbox.supervisor(reach).map_err(fault)?;
        Ok(tools::builtin(tool_settings(&self.config.tools), supervisor, means)?.select(&allowed)?)
    }

    /// What the tools of a profile stand on.
    fn means(&self, profile: &profiles::Profile) -> Means {
        let notes: Arc<dyn Notes> = Arc::<dyn Store>::clone(self.store);
        let folders = profile.skills(&self.config.skills);
        let skills = (!folders.is_empty()).then(|| Skills::new(folders.to_vec()));
        skills.iter().for_each(|skills| drop(skills.look()));
        Means {
            delegating: self.delegating(profile),
            memory: Some(Memory::new(notes, self.config.tools.memory.max_size)),
            skills,
            processes: self.edges.processes.clone(),
        }
    }

    /// What a profile needs to hand tasks on, if it may.
    fn delegating(&self, profile: &profiles::Profile) -> Option<Delegating> {
        let to = profile.delegates.iter().map(|id| {
            let description = self.config.profiles.get(id).and_then(|profile| profile.description.clone());
            Delegate { profile: id.clone(), description }
        });
        (!profile.delegates.is_empty()).then(|| Delegating {
            to: to.collect(),
            time_limit: profile.limits.wall_time,
            port: Arc::new(Delegations::new(self.runs)),
        })
    }

    fn limits(&self, profile: &profiles::Profile) -> Limits {
        let limits = &profile.limits;
        Limits {
            steps: limits.steps,
            wall_time: limits.wall_time,
            tool_time: limits.tool_time,
            tool_output: self.config.tools.output_limit,
            output_tokens: limits.output_tokens.map(u64::from),
            delegation: Delegation {
                depth: limits.delegate_depth,
                total: limits.delegate_total,
                at_once: limits.delegate_at_once,
            },
        }
    }
}

fn tool_settings(tools: &settings::Tools) -> ToolSettings {
    ToolSettings {
        output_limit: tools.output_limit,
        max_image: tools.view_image.max_size as u64,
        read_limit: tools.files.max_size as u64,
        max_matches: tools.search.max_matches as u64,
        terminal_max_time: tools.terminal.max_time,
        terminal_max_output: tools.terminal.max_output as u64,
        shell: tools.terminal.shell().display().to_string(),
        fetch_url: web::fetch_settings(&tools.fetch_url),
        web_search: tools.web_search.as_ref().and_then(web::search_settings),
    }
}

/// The form of answers that a profile's `sampling` asks for, as clients do in `response_format`.
fn format(profile: &profiles::Profile) -> Result<Option<OutputFormat>, String> {
    let Some(format) = profile.sampling.get("response_format") else { return Ok(None) };
    let fields = Fields::of(format.clone(), "response_format");
    let format = fields.and_then(format::of_chat).map_err(|error| format!("sampling: {}", error.error.message))?;
    AnswerCheck::of(Some(&format)).map_err(|failure| format!("sampling: {failure}"))?;
    Ok(Some(format))
}
