//! The port to a tool that the daemon runs for the model.

mod list;

pub use list::ToolList;

use crate::core::id::RunId;
use crate::core::item::{Part, ToolHome};
use crate::core::usage::Usage;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A tool. Dropping the future of a call ends whatever it started, down to the last process.
pub trait Tool: Send + Sync {
    fn spec(&self) -> &ToolSpec;

    fn annotations(&self) -> Annotations;

    /// A few words on what this call does, for the status line a person sees (`ls -la`, `notes.txt`). At most one line.
    fn summary(&self, arguments: &Value) -> String;

    /// Runs it. `arguments` have been checked against the schema of `spec`.
    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>>;
}

/// How a tool behaves, for those who run it and those who read `docs/tools.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing: it may be run again after a crash, and a retry of the request does no harm.
    pub read_only: bool,
    /// Others may be at work beside it. Of a run's calls, one that is not parallel is at work alone.
    pub parallel: bool,
    /// The time of one call, where it has its own instead of the profile's.
    pub time_limit: Option<Duration>,
    /// Bytes of text that one call hands to the model, where it has its own limit instead of the common one.
    pub output_limit: Option<usize>,
}

impl Annotations {
    /// Of a tool that looks and leaves no trace.
    pub const READ_ONLY: Self = Self { read_only: true, ..Self::WITH_EFFECTS };
    /// Of a tool that changes something, in steps that others of the same run do not get in the way of.
    pub const WITH_EFFECTS: Self = Self { read_only: false, parallel: true, time_limit: None, output_limit: None };
}

/// The tools that one run offers, by name.
pub trait Toolset: Send + Sync {
    /// What a model is offered.
    fn specs(&self) -> ToolList;

    /// Names of the tools that change something.
    fn with_effects(&self) -> Arc<HashSet<String>>;

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
    /// Where it lives, if not with the daemon or the client.
    pub home: Option<Arc<ToolHome>>,
    /// Further keys of a client's function, passed on untouched.
    pub extra: Map<String, Value>,
    /// Further keys beside the function (`cache_control`, …), which has an object of its own on chat.
    pub beside: Map<String, Value>,
}

/// Where and for whom a tool call runs.
#[derive(Clone, Debug)]
pub struct ToolContext {
    pub run: RunId,
    pub call_id: Arc<str>,
    pub who: Arc<Who>,
    /// Names the session among all sessions of all principals: what a call leaves behind for later calls belongs to it.
    pub session: Arc<str>,
    /// The folder the call works in; it exists, is absolute and holds no symlink.
    pub workspace: Arc<Path>,
    /// What is left for this call; the caller drops the future when it is over.
    pub time_limit: Duration,
    pub activity: Activity,
}

/// For whom a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub principal: Arc<str>,
    /// The person behind it, where the request says who that is; as it was said, so never a path and not for the log.
    pub user: Option<Arc<str>>,
    /// Id of the profile.
    pub profile: Arc<str>,
}

/// Tells of a call while it is at work: to people what it is doing, of which some words may be lost, and to the run what
/// it spends, of which nothing is. Nobody has to listen.
#[derive(Clone)]
pub struct Activity {
    tell: Arc<dyn Fn(String) + Send + Sync>,
    spend: Arc<dyn Fn(Usage) + Send + Sync>,
}

impl Activity {
    pub fn new(tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), spend: Arc::new(drop) }
    }

    /// The same, with somebody who counts what is spent.
    pub fn counting(self, spend: impl Fn(Usage) + Send + Sync + 'static) -> Self {
        Self { spend: Arc::new(spend), ..self }
    }

    /// To nobody.
    pub fn silent() -> Self {
        Self::new(drop)
    }

    /// A few words, at most one line.
    pub fn tell(&self, doing: impl Into<String>) {
        (self.tell)(doing.into());
    }

    /// Tokens of model calls that were made for this call.
    pub fn spend(&self, usage: Usage) {
        (self.spend)(usage);
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Activity")
    }
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
