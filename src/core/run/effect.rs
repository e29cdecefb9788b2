//! What a run asks the driver to do.

use crate::core::event::RunEvent;
use crate::core::item::ToolCall;
use crate::core::ports::upstream::ModelRequest;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open a model call and feed back what it yields, then `UpstreamClosed`.
    CallUpstream(ModelRequest),
    /// Run a server tool and feed back `ToolDone`.
    RunTool(Arc<ToolCall>),
    /// Check whether this answer has the form that [`super::Machine::format`] says, and feed back `AnswerChecked`.
    CheckAnswer(String),
    Emit(RunEvent),
    /// Drop the model call and every running tool; nothing of them is fed back any more.
    Abort,
}
