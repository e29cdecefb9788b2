//! The response object. The fold makes it; everything a client sees of a response is this one.

use super::items::WireItem;
use super::settings::Settings;
use crate::core::event::{Cut, Outcome};
use crate::core::failure::{Failure, FailureKind};
use crate::core::usage::Usage;
use crate::dialect::error::ApiError;
use serde::Serialize;
use std::sync::Arc;

/// All 31 fields that the specification asks for: ten here, and what the request said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resource {
    pub id: String,
    pub object: &'static str,
    pub created_at: u64,
    pub completed_at: Option<u64>,
    pub status: &'static str,
    pub incomplete_details: Option<IncompleteDetails>,
    pub error: Option<ErrorDetails>,
    pub model: String,
    pub output: Vec<WireItem>,
    pub usage: Option<UsageObject>,
    #[serde(flatten)]
    pub settings: Arc<Settings>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncompleteDetails {
    /// One of the two words that strict clients know.
    pub reason: &'static str,
    /// What it was in truth.
    pub detail: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorDetails {
    pub code: &'static str,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsageObject {
    pub input_tokens: u64,
    pub input_tokens_details: InputDetails,
    pub output_tokens: u64,
    pub output_tokens_details: OutputDetails,
    pub total_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InputDetails {
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OutputDetails {
    pub reasoning_tokens: u64,
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputDetails { cached_tokens: usage.cached, cache_write_tokens: usage.cache_write },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
            total_tokens: usage.total(),
        }
    }
}

/// The `status` of an outcome.
pub(super) fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed | Outcome::ClientTools => "completed",
        Outcome::Incomplete { .. } => "incomplete",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed { .. } => "failed",
    }
}

pub(super) fn incomplete_details(outcome: &Outcome) -> Option<IncompleteDetails> {
    let (reason, detail) = match outcome {
        Outcome::Incomplete { reason: Cut::ContentFilter } => ("content_filter", "content_filter"),
        Outcome::Incomplete { reason: Cut::OutputTokens } => ("max_output_tokens", "output_tokens"),
        Outcome::Incomplete { reason: Cut::Steps } => ("max_output_tokens", "steps"),
        Outcome::Incomplete { reason: Cut::WallTime } => ("max_output_tokens", "wall_time"),
        Outcome::Incomplete { reason: Cut::Disconnected } => ("max_output_tokens", "disconnected"),
        Outcome::Completed | Outcome::ClientTools | Outcome::Failed { .. } | Outcome::Cancelled => return None,
    };
    Some(IncompleteDetails { reason, detail })
}

/// A failure in the few codes that the openai SDK knows. Agents repeat a request on all of them but `invalid_prompt`,
/// so that is the code wherever a repeat cannot help or would do harm.
pub(super) fn error_details(failure: &Failure) -> ErrorDetails {
    let code = match failure.kind {
        _ if failure.after_effects => "invalid_prompt",
        FailureKind::InvalidRequest
        | FailureKind::ContextLength
        | FailureKind::UpstreamAuth
        | FailureKind::UpstreamNotFound => "invalid_prompt",
        FailureKind::RateLimited => "rate_limit_exceeded",
        FailureKind::UpstreamUnavailable
        | FailureKind::UpstreamTimeout
        | FailureKind::UpstreamBroken
        | FailureKind::InvalidOutput
        | FailureKind::ShuttingDown
        | FailureKind::StoreUnavailable
        | FailureKind::Internal => "server_error",
    };
    ErrorDetails { code, message: ApiError::from(failure).error.message }
}
