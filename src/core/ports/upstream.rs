//! The port to a language model.

use crate::core::failure::Failure;
use crate::core::format::{FormatSupport, OutputFormat};
use crate::core::item::Item;
use crate::core::logprob::Logprob;
use crate::core::ports::tool::ToolList;
use crate::core::sealed::Block;
use crate::core::usage::Usage;
use futures_util::Stream;
use serde_json::{Map, Value};
use std::pin::Pin;
use std::sync::Arc;

/// Something that answers model calls: one server and model, or a chain of them with retries.
pub trait Upstream: Send + Sync {
    /// Makes one call. Nothing is sent before the stream is polled, it is read no faster than it is polled, and
    /// dropping it closes the connection. The stream yields one `Opened` first, and a `Finish` last unless it fails.
    fn call(&self, request: ModelRequest) -> UpstreamStream;

    /// What whoever answers does about the form that an answer must have.
    fn format_support(&self) -> FormatSupport {
        FormatSupport::Passed
    }

    /// Tokens that it takes, the answer included, as far as its refusals have told.
    fn window(&self) -> Option<u64> {
        None
    }
}

pub type UpstreamStream = Pin<Box<dyn Stream<Item = Result<UpstreamEvent, Failure>> + Send>>;

/// One model call, whatever the dialect of the server that gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRequest {
    /// The profile's core instructions; they stand before every item, joined with the client's own system text.
    pub instructions: Option<Arc<str>>,
    pub items: Vec<Arc<Item>>,
    pub tools: ToolList,
    pub tool_choice: ToolChoice,
    /// The form that the final answer must have; never plain text.
    pub format: Option<Arc<OutputFormat>>,
    /// Sampling and other parameters under their chat names, and fields we do not know, as the client sent them.
    pub params: Arc<Map<String, Value>>,
    /// Tokens this call may write. The adapter sends it under the client's own name for it, if `params` holds one.
    pub max_output_tokens: Option<u64>,
}

/// Whether and what the model must call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Function(String),
}

/// What a model call yields, piece by piece.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamEvent {
    /// The upstream has accepted the call (HTTP 2xx).
    Opened,
    Text(String),
    /// Of the tokens of the piece of text that follows.
    Logprobs(Vec<Logprob>),
    Refusal(String),
    Reasoning(String),
    /// Reasoning to be sent back as it is: a block of it or a piece of one.
    Sealed {
        /// See [`Sealed::maker`](crate::core::sealed::Sealed::maker).
        maker: Arc<str>,
        piece: Block,
    },
    ToolCall(ToolCallFragment),
    Usage(Usage),
    Finish(FinishReason),
}

/// A piece of a tool call. Upstreams leave out, repeat and mix up everything here; the run's step makes sense of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallFragment {
    pub index: Option<u32>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub arguments: String,
    /// Keys that we do not know, to be sent back with the call.
    pub extra: Map<String, Value>,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    Stop,
    ToolCalls,
    Length,
    ContentFilter,
}
