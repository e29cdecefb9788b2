//! The tools of a daemon by name, each with its schema compiled once.

use crate::core::ports::tool::{Tool, ToolList, Toolset};
use crate::schema::Schema;
use crate::tools::text;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Tools by name, in the order of the alphabet, so that every prompt begins with the same text. Cheap to clone.
#[derive(Clone, Default)]
pub struct ToolSet {
    tools: Arc<BTreeMap<String, Entry>>,
    /// Kept ready, as every run takes them.
    specs: ToolList,
    with_effects: Arc<HashSet<String>>,
}

#[derive(Clone)]
struct Entry {
    tool: Arc<dyn Tool>,
    /// `None` for a tool that says nothing of its arguments.
    schema: Option<Arc<Schema>>,
}

/// Which of the daemon's tools a profile offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    #[default]
    All,
    Only(Vec<String>),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    #[error("two tools are called {0}")]
    Duplicate(String),
    #[error("the schema of tool {tool} is none: {reason}")]
    Schema { tool: String, reason: String },
    #[error("there is no tool {name}; the tools are {known}")]
    Unknown { name: String, known: String },
}

impl ToolSet {
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self, RegistryError> {
        let mut entries = BTreeMap::new();
        for tool in tools {
            let spec = tool.spec();
            let name = spec.name.clone();
            let schema = match &spec.parameters {
                None => None,
                Some(schema) => Some(Arc::new(compile(&name, schema)?)),
            };
            if entries.insert(name.clone(), Entry { tool, schema }).is_some() {
                return Err(RegistryError::Duplicate(name));
            }
        }
        Ok(Self::of(entries))
    }

    fn of(tools: BTreeMap<String, Entry>) -> Self {
        let specs = tools.values().map(|entry| entry.tool.spec().clone()).collect();
        let with_effects = tools.iter().filter(|(_, entry)| !entry.tool.annotations().read_only);
        let with_effects = Arc::new(with_effects.map(|(name, _)| name.clone()).collect());
        Self { tools: Arc::new(tools), specs, with_effects }
    }

    /// The allowed part of this set. A name that no tool has is an error: left out in silence it would be missed late.
    pub fn select(&self, allowed: &Allowed) -> Result<Self, RegistryError> {
        let Allowed::Only(names) = allowed else { return Ok(self.clone()) };
        let pick = |name: &String| match self.tools.get(name) {
            Some(entry) => Ok((name.clone(), entry.clone())),
            None => Err(RegistryError::Unknown { name: name.clone(), known: self.known() }),
        };
        names.iter().map(pick).collect::<Result<_, _>>().map(Self::of)
    }

    /// This set and tools that others have made. One whose name is taken, or whose schema could not be checked against
    /// in bounded time, is left out.
    pub fn and(&self, more: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        let mut entries = (*self.tools).clone();
        for tool in more {
            let (name, parameters) = (tool.spec().name.clone(), tool.spec().parameters.as_ref());
            match parameters.map(Schema::of_stranger).transpose() {
                Ok(schema) => drop(entries.entry(name).or_insert(Entry { tool, schema: schema.map(Arc::new) })),
                Err(reason) => tracing::warn!(tool = name, reason, "a tool is left out: its schema is none"),
            }
        }
        Self::of(entries)
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.get(name).map(|entry| &entry.tool)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }

    /// Checks the arguments of a call. The error tells the model everything it needs to call again.
    pub fn validate(&self, name: &str, arguments: &Value) -> Result<(), String> {
        let Some(entry) = self.tools.get(name) else {
            return Err(format!("There is no tool {}. The tools are: {}.", text::quoted(name), self.known()));
        };
        match &entry.schema {
            Some(schema) => check(schema, arguments)
                .map_err(|faults| format!("The arguments of {name} do not fit its schema:{faults}")),
            None => Ok(()),
        }
    }

    fn known(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }
}

impl Toolset for ToolSet {
    fn specs(&self) -> ToolList {
        self.specs.clone()
    }

    fn with_effects(&self) -> Arc<HashSet<String>> {
        Arc::clone(&self.with_effects)
    }

    fn get(&self, name: &str) -> Option<Arc<dyn Tool>> {
        self.tools.get(name).map(|entry| Arc::clone(&entry.tool))
    }

    fn check(&self, name: &str, arguments: &Value) -> Result<(), String> {
        self.validate(name, arguments)
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn compile(tool: &str, schema: &Value) -> Result<Schema, RegistryError> {
    Schema::new(schema).map_err(|reason| RegistryError::Schema { tool: tool.to_owned(), reason })
}

/// Models that were trained on strict schemas write `null` for what they leave out; so it counts as left out.
fn check(schema: &Schema, arguments: &Value) -> Result<(), String> {
    if schema.accepts(arguments) {
        return Ok(());
    }
    let mut arguments = arguments.clone();
    if let Value::Object(members) = &mut arguments {
        members.retain(|_, value| !value.is_null());
    }
    if schema.accepts(&arguments) { Ok(()) } else { Err(schema.faults(&arguments)) }
}

#[cfg(test)]
mod tests;
