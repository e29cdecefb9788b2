//! What can happen to a run.

use crate::core::event::{Cut, Outcome};
use crate::core::failure::{Failure, FailureKind};
use crate::core::item::Part;
use crate::core::journal::Journal;
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::UpstreamEvent;
use crate::core::usage::Usage;

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The run begins.
    Submitted,
    /// The run goes on where its journal ends: the process that ran it before is gone.
    Resumed(Journal),
    Upstream(UpstreamEvent),
    /// The model call's stream has ended, well or not.
    UpstreamClosed(Result<(), Failure>),
    /// A server tool has begun, or goes on with something else; `doing` is what, in a few words.
    ToolDoing {
        call_id: String,
        doing: String,
    },
    /// Server tools have had models called, which used so many tokens.
    ToolSpent(Usage),
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
    /// The client asked for it.
    Asked,
    /// Nobody listens any more.
    Disconnected,
    /// The listener takes nothing from the stream for too long.
    SlowClient,
    Shutdown,
    /// What the run has told could not be written down.
    Unrecorded,
    /// The run has told more than can be kept of one.
    Overflow,
}

impl Cancel {
    /// How a run ends for that.
    pub fn outcome(self) -> Outcome {
        let (kind, text) = match self {
            Self::Asked => return Outcome::Cancelled,
            Self::Disconnected | Self::SlowClient => return Outcome::Incomplete { reason: Cut::Disconnected },
            Self::Shutdown => {
                (FailureKind::ShuttingDown, "The server is shutting down and ended this run before it was done.")
            }
            Self::Unrecorded => {
                (FailureKind::StoreUnavailable, "What this run did could not be stored, so it was ended.")
            }
            Self::Overflow => {
                (FailureKind::Internal, "The answer has grown larger than one may be, so the run was ended.")
            }
        };
        Outcome::Failed { failure: Failure::new(kind, text) }
    }
}
