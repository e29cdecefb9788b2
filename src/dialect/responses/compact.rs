//! What a run that only sums up comes to: a window to go on from, and what it has cost.

use super::items::WireItem;
use super::resource::UsageObject;
use super::view::View;
use crate::core::event::{Outcome, RunEvent};
use crate::core::usage::Usage;
use crate::dialect::activity::ToolActivity;
use crate::dialect::error::ApiError;
use serde::Serialize;

/// The answer to a request for a compaction. Its output is the input to go on with.
#[derive(Debug, PartialEq, Serialize)]
pub struct CompactedWindow {
    id: String,
    object: &'static str,
    created_at: u64,
    output: Vec<WireItem>,
    usage: UsageObject,
}

/// Gathers it from the events of its run.
#[derive(Debug, Default)]
pub struct Compacting {
    output: Vec<WireItem>,
    usage: Usage,
    outcome: Option<Outcome>,
}

impl Compacting {
    pub fn on(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ItemDone { item, .. } => {
                self.output.extend(WireItem::begun(item, ToolActivity::Standard, View::default()))
            }
            RunEvent::StepDone { usage } | RunEvent::Spent { usage } => self.usage += *usage,
            RunEvent::Finished { outcome } => self.outcome = Some(outcome.clone()),
            _ => {}
        }
    }

    /// `created_at` is Unix time in seconds.
    pub fn into_window(self, id: String, created_at: u64) -> Result<CompactedWindow, ApiError> {
        let (output, usage) = (self.output, self.usage.into());
        match self.outcome {
            Some(Outcome::Completed) => {
                Ok(CompactedWindow { id, object: "response.compaction", created_at, output, usage })
            }
            Some(Outcome::Failed { failure }) => Err(ApiError::from(&failure)),
            Some(Outcome::Incomplete { .. }) => {
                let message = "The profile's time limit was met before the conversation was summed up.";
                Err(ApiError::new(504, "server_error", Some("time_limit"), message))
            }
            _ => Err(ApiError::new(500, "server_error", Some("internal_error"), "The run ended unexpectedly.")),
        }
    }
}
