//! What can happen to a run.

use crate::core::failure::Failure;
use crate::core::item::Part;
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::UpstreamEvent;

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The run begins.
    Submitted,
    Upstream(UpstreamEvent),
    /// The model call's stream has ended, well or not.
    UpstreamClosed(Result<(), Failure>),
    /// A server tool has begun; `doing` is what, in a few words.
    ToolStarted {
        call_id: String,
        doing: String,
    },
    ToolDone(ToolDone),
    /// Whether the answer has the form it must have, or what is wrong with it, in words for the model.
    AnswerChecked(Result<(), String>),
    Cancelled(Cancel),
    /// The time that the run was given is over. The first time it may still say where it stands.
    Deadline,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolDone {
    pub call_id: String,
    pub result: Result<Vec<Part>, ToolError>,
}

/// Who ended a run before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Nobody listens any more, or the client asked for it.
    Client,
    /// The listener takes nothing from the stream for too long.
    SlowClient,
    Shutdown,
}
