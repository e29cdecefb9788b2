//! Why a model call or a whole run could not go on, in words that both dialects can turn into their error shape.

use serde::{Deserialize, Serialize};

/// One failure. As text it is shown to the client, so it holds no key and no path of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
pub struct Failure {
    pub kind: FailureKind,
    /// In our words, fit for a log.
    pub message: String,
    /// What the upstream said. It may quote the prompt, so it is for the client and for no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The request field at fault, where the upstream named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// Seconds after which the upstream asks to be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// By how much a conversation was too long; boxed, as few failures have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<Box<Overflow>>,
    /// A tool with effects had run before: repeating the request would repeat them, so the client must not retry.
    #[serde(default)]
    pub after_effects: bool,
}

/// The numbers of a refusal for length, where the upstream gave some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Tokens the model takes, its answer included.
    pub window: Option<u64>,
    /// Tokens that the conversation had, without the answer.
    pub tokens: Option<u64>,
}

/// What went wrong; decides status, error type and whether a repeat can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The upstream refused the request as malformed: the client's field is at fault.
    InvalidRequest,
    /// The history is longer than the model's window.
    ContextLength,
    /// The upstream's rate limit or quota.
    RateLimited,
    /// The upstream refused our key: the operator's fault, never the client's.
    UpstreamAuth,
    /// The upstream does not know the model or the path: a configuration error.
    UpstreamNotFound,
    /// No connection, or an answer of 5xx.
    UpstreamUnavailable,
    /// Connect, first byte or idle time limit.
    UpstreamTimeout,
    /// The upstream's stream broke off or made no sense.
    UpstreamBroken,
    /// The model's answer does not have the form that was asked for, and could not be mended.
    InvalidOutput,
    /// The daemon is stopping.
    ShuttingDown,
    /// Nothing can be stored at the moment.
    StoreUnavailable,
    /// A fault of ours or of a tool that the model cannot mend.
    Internal,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            said: None,
            param: None,
            retry_after: None,
            overflow: None,
            after_effects: false,
        }
    }

    pub fn saying(mut self, said: impl Into<String>) -> Self {
        self.said = Some(said.into());
        self
    }

    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
