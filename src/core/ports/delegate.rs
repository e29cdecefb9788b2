//! The port to other agents of the house: a tool call hands a task on, and another profile does it in a run of its own.

use super::tool::{ToolContext, ToolError};
use futures_util::future::BoxFuture;

/// Name of the tool that hands tasks on. Runs at the deepest level are not offered it.
pub const TOOL: &str = "delegate";

pub trait Delegation: Send + Sync {
    /// Has a task done for the call of this context, and gives the answer. Dropping the future ends the run that does it,
    /// down to its last process.
    fn delegate(&self, task: Task, context: ToolContext) -> BoxFuture<'static, Result<String, ToolError>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Id of the profile that is to do it.
    pub profile: String,
    /// All that it is told.
    pub text: String,
}
