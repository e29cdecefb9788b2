//! The objects of the Chat Completions API, as far as we write them.

use crate::core::event::{Cut, Outcome};
use crate::core::usage::Usage;
use crate::dialect::error::ApiError;
use serde::Serialize;

/// What every chunk and object of one answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    /// The profile's id, whatever model stands behind it.
    pub model: String,
}

#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<[ToolCallDelta<'a>; 1]>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct ToolCallDelta<'a> {
    /// Counts the client's calls of this answer; the server's are not among them.
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'a str>,
    pub function: FunctionDelta<'a>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub arguments: &'a str,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct ChatCompletion {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub choices: [Choice; 1],
    pub usage: UsageObject,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Choice {
    pub index: u32,
    pub message: AnswerMessage,
    pub logprobs: Option<()>,
    pub finish_reason: &'static str,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct AnswerMessage {
    pub role: &'static str,
    pub content: Option<String>,
    pub refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallObject>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct ToolCallObject {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub function: FunctionObject,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct FunctionObject {
    pub name: String,
    pub arguments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsageObject {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    pub prompt_tokens_details: PromptDetails,
    pub completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PromptDetails {
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CompletionDetails {
    pub reasoning_tokens: u64,
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached, cache_write_tokens: usage.cache_write },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning },
        }
    }
}

/// Not as an error that clients meet by asking again: what the run had done would be done again.
fn cancelled(message: &str) -> ApiError {
    ApiError::new(499, "invalid_request_error", Some("cancelled"), message)
}

/// The `finish_reason` of an outcome, or the error that it is told as.
pub fn finish_reason(outcome: &Outcome) -> Result<&'static str, ApiError> {
    match outcome {
        Outcome::Completed => Ok("stop"),
        Outcome::ClientTools => Ok("tool_calls"),
        Outcome::Incomplete { reason: Cut::ContentFilter } => Ok("content_filter"),
        // Only a client that was slow, not one that has gone, is left to read this.
        Outcome::Incomplete { reason: Cut::Disconnected } => {
            Err(cancelled("The run was cancelled, because its answer was not read for too long."))
        }
        Outcome::Incomplete { .. } => Ok("length"),
        Outcome::Failed { failure } => Err(failure.into()),
        Outcome::Cancelled => Err(cancelled("The run was cancelled, because it was asked to be.")),
    }
}
