//! The error object of OpenAI's API, and how our failures map onto it. One table for both dialects and every route.

use crate::core::failure::{Failure, FailureKind};
use serde::Serialize;

/// `{"error": {…}}`, the body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    pub error: ErrorObject,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorObject {
    pub message: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

/// An error with the HTTP status it has as long as no byte of a stream has gone out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub error: ErrorObject,
    /// Seconds, for the `Retry-After` header.
    pub retry_after: Option<u64>,
    /// Repeating the request cannot help or would do harm; told by `x-should-retry: false`.
    pub no_retry: bool,
}

impl ApiError {
    pub fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        let error = ErrorObject { message: message.into(), kind, param: None, code };
        Self { status, error, retry_after: None, no_retry: false }
    }

    /// 400 for a request that cannot be served as it stands. `param` names the field, e.g. `messages[2].role`.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(400, "invalid_request_error", None, message);
        error.error.param = Some(param.into()).filter(|param| !param.is_empty());
        error
    }

    pub fn with_code(mut self, code: &'static str) -> Self {
        self.error.code = Some(code);
        self
    }

    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.error.param = Some(param.into());
        self
    }

    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What the headers of an answer say of a repeat.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let retry_after = self.retry_after.map(|seconds| ("retry-after", seconds.to_string()));
        let no_retry = self.no_retry.then(|| (SHOULD_RETRY, "false".to_owned()));
        retry_after.into_iter().chain(no_retry)
    }

    pub fn body(&self) -> ErrorBody {
        ErrorBody { error: self.error.clone() }
    }
}

/// The header by which OpenAI's SDKs are told whether to repeat a request.
pub const SHOULD_RETRY: &str = "x-should-retry";

/// Some of a client's own text, for a message: all of it could be as long as the body.
pub fn excerpt(text: &str) -> String {
    let visible = |char: char| match char.is_control() {
        true => char.escape_default().to_string(),
        false => char.to_string(),
    };
    let mut excerpt: String = text.chars().take(MAX_EXCERPT).map(visible).collect();
    if text.chars().nth(MAX_EXCERPT).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// Characters of a client's text in a message.
const MAX_EXCERPT: usize = 64;

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        if failure.after_effects {
            // What clients take for final (measured): they repeat a `server_error`, and so would repeat the effects.
            let problem = failure.to_string();
            let problem = problem.trim_end_matches('.');
            let message =
                format!("{problem}. Tools had already changed something, so do not repeat the request blindly.");
            return Self { no_retry: true, ..Self::new(400, "invalid_request_error", Some("invalid_prompt"), message) };
        }
        let (status, kind, code) = match failure.kind {
            FailureKind::InvalidRequest => (400, "invalid_request_error", None),
            FailureKind::ContextLength => (400, "invalid_request_error", Some("context_length_exceeded")),
            FailureKind::RateLimited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
            FailureKind::UpstreamAuth => (502, "upstream_error", Some("upstream_auth_failed")),
            FailureKind::UpstreamNotFound => (502, "upstream_error", Some("upstream_not_found")),
            FailureKind::UpstreamUnavailable => (502, "upstream_error", Some("upstream_unavailable")),
            FailureKind::UpstreamBroken => (502, "upstream_error", Some("upstream_broken")),
            FailureKind::UpstreamTimeout => (504, "upstream_error", Some("upstream_timeout")),
            FailureKind::InvalidOutput => (502, "upstream_error", Some("invalid_output_format")),
            FailureKind::ShuttingDown => (503, "server_error", Some("shutting_down")),
            FailureKind::StoreUnavailable => (503, "server_error", Some("store_unavailable")),
            FailureKind::Internal => (500, "server_error", Some("internal_error")),
        };
        let text = failure.to_string();
        let message = match failure.param.as_deref().filter(|param| !text.contains(param)) {
            Some(param) => format!("`{param}`: {text}"),
            None => text,
        };
        let mut error = Self::new(status, kind, code, message);
        error.error.param.clone_from(&failure.param);
        error.retry_after = failure.retry_after;
        // A wrong key or model name is the operator's to mend, and asking again does not.
        error.no_retry = matches!(failure.kind, FailureKind::UpstreamAuth | FailureKind::UpstreamNotFound);
        error
    }
}

/// For an error that comes too late for a status, and is told as the end of a run.
impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let kind = match error.status {
            429 => FailureKind::RateLimited,
            400..500 => FailureKind::InvalidRequest,
            503 => FailureKind::ShuttingDown,
            _ => FailureKind::Internal,
        };
        Self { param: error.error.param, retry_after: error.retry_after, ..Self::new(kind, error.error.message) }
    }
}
