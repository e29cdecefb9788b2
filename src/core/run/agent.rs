//! What a profile brings to a run: pure data, made once at start and shared by every run of the profile.

use super::limits::Limits;
use super::spec::RunSpec;
use crate::core::failure::{Failure, FailureKind};
use crate::core::format::{FormatSupport, OutputFormat};
use crate::core::item::ToolHome;
use crate::core::ports::equipment::Equipped;
use crate::core::ports::tool::ToolList;
use crate::core::ports::upstream::ToolChoice;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    pub instructions: Option<Arc<str>>,
    pub tools: ToolList,
    /// Names of the tools that change something: once one has started, a client's retry would repeat it.
    pub with_effects: Arc<HashSet<String>>,
    pub limits: Limits,
    /// Tokens the model takes, its answer included; `None` leaves it to the upstream to say.
    pub context_window: Option<u64>,
    /// Defaults for parameters that a request leaves out. A limit of tokens among them is one of the whole answer, as a
    /// client's is.
    pub sampling: Map<String, Value>,
    /// The form of answers to requests that name none.
    pub format: Option<Arc<OutputFormat>>,
    /// What the agent's upstream does about a format.
    pub format_support: FormatSupport,
}

impl Agent {
    /// The agent of one run: this one with the tools that the run has, and what its model is told besides.
    pub fn equipped(&self, equipped: &Equipped) -> Self {
        let own = self.instructions.as_deref().into_iter();
        let told: Vec<&str> = own.chain(equipped.told.iter().map(|told| &**told)).collect();
        Self {
            instructions: match equipped.told.is_empty() {
                true => self.instructions.clone(),
                false => Some(told.join("\n\n").into()),
            },
            tools: equipped.tools.specs(),
            with_effects: equipped.tools.with_effects(),
            ..self.clone()
        }
    }

    /// Without one of the server's tools.
    pub fn without(&self, tool: &str) -> Self {
        Self { tools: self.tools.iter().filter(|spec| spec.name != tool).cloned().collect(), ..self.clone() }
    }
}

/// Where a call of some name goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Client,
    Server,
    /// The model made the name up; it is told so.
    Nobody,
}

/// The tools one run offers: the client's, and those of the server that no client tool hides.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub specs: ToolList,
    client: HashSet<String>,
}

impl Offer {
    pub fn new(agent: &Agent, spec: &RunSpec) -> Self {
        let brought = spec.tools.as_deref();
        if spec.tool_choice == ToolChoice::None || brought.is_some_and(<[_]>::is_empty) {
            return Self { specs: ToolList::default(), client: HashSet::new() };
        }
        let allowed = spec.allowed_tools.as_deref();
        if brought.is_none() && allowed.is_none() {
            // The common case shares the profile's list: schemas are large and requests are many.
            return Self { specs: agent.tools.clone(), client: HashSet::new() };
        }
        let brought = brought.unwrap_or_default();
        let mut client: HashSet<String> = brought.iter().map(|tool| tool.name.clone()).collect();
        let server = agent.tools.iter().filter(|tool| !client.contains(&tool.name));
        let is_allowed = |name: &String| allowed.is_none_or(|allowed| allowed.contains(name));
        let specs = server.chain(brought).filter(|tool| is_allowed(&tool.name)).cloned().collect();
        client.retain(is_allowed);
        Self { specs, client }
    }

    /// Without the server's tools.
    pub fn clients_alone(&self) -> ToolList {
        self.specs.iter().filter(|tool| self.client.contains(&tool.name)).cloned().collect()
    }

    pub fn owner(&self, name: &str) -> Owner {
        if self.client.contains(name) {
            Owner::Client
        } else if self.has(name) {
            Owner::Server
        } else {
            Owner::Nobody
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.specs.iter().any(|tool| tool.name == name)
    }

    /// Where a tool lives, if it is another server's.
    pub fn home(&self, name: &str) -> Option<Arc<ToolHome>> {
        self.specs.iter().find(|tool| tool.name == name)?.home.clone()
    }

    /// Fails where the request asks for a tool that is not offered.
    pub fn check(&self, spec: &RunSpec) -> Result<(), Failure> {
        let stranger = spec.allowed_tools.iter().flatten().find(|name| !self.has(name));
        let problem = match (&spec.tool_choice, stranger) {
            (_, Some(name)) => format!("`tool_choice` allows `{name}`, which is not offered."),
            (ToolChoice::Required, None) if self.specs.is_empty() => {
                "`tool_choice` is `required`, but no tools are offered.".to_owned()
            }
            (ToolChoice::Function(name), None) if !self.has(name) => {
                let names: Vec<&str> = self.specs.iter().map(|tool| tool.name.as_str()).collect();
                let offered = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                format!("`tool_choice` names `{name}`, which is not offered. Offered are: {offered}.")
            }
            _ => return Ok(()),
        };
        Err(Failure::new(FailureKind::InvalidRequest, problem).with_param("tool_choice"))
    }

    /// For the model that called a tool nobody has.
    pub fn unknown(&self, name: &str) -> String {
        if self.specs.is_empty() {
            return format!(
                "There is no tool named `{name}`: no tools are offered in this conversation. Answer without one."
            );
        }
        let names: Vec<&str> = self.specs.iter().map(|tool| tool.name.as_str()).collect();
        format!("There is no tool named `{name}`. The tools are: {}.", names.join(", "))
    }
}
