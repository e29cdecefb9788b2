//! The port to a tool that the daemon runs for the model.

use crate::core::id::RunId;
use crate::core::item::Part;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A tool. Dropping the future of a call ends whatever it started, down to the last process.
pub trait Tool: Send + Sync {
    fn spec(&self) -> &ToolSpec;

    /// False for a tool that only reads: it may be run again after a crash, and a retry of the request does no harm.
    fn has_effects(&self) -> bool;

    /// A few words on what this call does, for the status line a person sees (`ls -la`, `notes.txt`). At most one line.
    fn summary(&self, arguments: &Value) -> String;

    /// Runs it. `arguments` have been checked against the schema of `spec`.
    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>>;
}

/// The tools of a profile, by name.
pub trait Toolset: Send + Sync {
    fn get(&self, name: &str) -> Option<Arc<dyn Tool>>;

    /// Checks a call's arguments against the tool's schema. The error tells the model what to mend.
    fn check(&self, name: &str, arguments: &Value) -> Result<(), String>;
}

/// A tool as it is offered to a model, the daemon's or a client's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolSpec {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments; `None` for a client's tool that takes none.
    pub parameters: Option<Value>,
    pub strict: Option<bool>,
    /// Further keys of a client's function, passed on untouched.
    pub extra: Map<String, Value>,
    /// Further keys beside the function (`cache_control`, …), which has an object of its own on chat.
    pub beside: Map<String, Value>,
}

/// Where and for whom a tool call runs.
#[derive(Clone, Debug)]
pub struct ToolContext {
    pub run: RunId,
    /// The folder the call works in; it exists, is absolute and holds no symlink.
    pub workspace: Arc<Path>,
    /// What is left for this call; the caller drops the future when it is over.
    pub time_limit: Duration,
}

/// A tool's failure is one of two kinds, and every error path must choose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The model can read this and try something else.
    #[error("{0}")]
    TellModel(String),
    /// The run cannot go on. The text is logged and not shown to the client.
    #[error("{0}")]
    Fatal(String),
}
