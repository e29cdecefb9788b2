//! A Chat Completions request body into a `RunSpec`. `docs/chat-completions.md` lists every field and what becomes of it.

use super::{messages, tools};
use crate::core::run::RunSpec;
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Check, Fields, integer, top_logprobs};
use crate::dialect::{format, user};
use serde_json::Value;
use std::sync::Arc;

/// A chat request, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The profile asked for.
    pub model: String,
    pub stream: bool,
    /// `stream_options.include_usage`: a usage chunk before the end, and `usage: null` on every other chunk.
    pub include_usage: bool,
    pub spec: RunSpec,
}

impl ChatRequest {
    /// The person it is for, where it says that.
    pub fn user(&self) -> Option<&str> {
        user::named(&self.spec.params)
    }
}

/// Fields that go to the model as they are, once they look right.
const PASSED_ON: &[(&str, Check)] = &[
    ("temperature", Check::Number { min: 0.0, max: 2.0 }),
    ("top_p", Check::Number { min: 0.0, max: 1.0 }),
    ("presence_penalty", Check::Number { min: -2.0, max: 2.0 }),
    ("frequency_penalty", Check::Number { min: -2.0, max: 2.0 }),
    ("max_tokens", Check::Integer { min: 1 }),
    ("max_completion_tokens", Check::Integer { min: 1 }),
    ("seed", Check::Integer { min: i64::MIN }),
    ("stop", Check::Strings),
    ("logit_bias", Check::Biases),
    ("reasoning_effort", Check::String),
    ("verbosity", Check::String),
    ("user", Check::String),
    ("safety_identifier", Check::String),
    ("prompt_cache_key", Check::String),
    ("service_tier", Check::String),
    ("metadata", Check::Metadata),
    ("parallel_tool_calls", Check::Bool),
];

/// Reads a body. Errors name the field and what it should be.
pub fn parse(body: Value) -> Result<ChatRequest, ApiError> {
    let mut fields = Fields::of(body, "")?;
    let model = fields.need_string("model")?;
    let Some(messages) = fields.take_array("messages")? else {
        return Err(fields.missing("messages", "an array of messages"));
    };
    let stream = fields.take_bool("stream")?.unwrap_or(false);
    let include_usage = include_usage(&mut fields, stream)?;
    refuse_unsupported(&mut fields)?;
    let tools = fields.take_array("tools")?.map(tools::parse).transpose()?.flatten();
    let tool_choice = tools::choice(fields.take("tool_choice"))?;
    for (key, check) in PASSED_ON {
        fields.check(key, *check)?;
    }
    check_logprobs(&mut fields)?;
    let format = fields.take_object("response_format")?.map(format::of_chat).transpose()?.map(Arc::new);
    let max_output_tokens = max_output_tokens(&fields)?;
    // Storing chat completions is an API of its own that we do not have, and the upstream must not do it in our stead.
    fields.take_bool("store")?;
    let input = messages::parse(messages)?;
    let params = fields.rest();
    Ok(ChatRequest {
        model,
        stream,
        include_usage,
        spec: RunSpec { input, tools, tool_choice, format, params, max_output_tokens, ..RunSpec::default() },
    })
}

/// The newer name wins, as it does at upstreams that take both.
fn max_output_tokens(fields: &Fields) -> Result<Option<u64>, ApiError> {
    let sent = ["max_completion_tokens", "max_tokens"].iter().find_map(|key| Some((*key, fields.get(key)?)));
    let limit = sent.map(|(key, value)| integer(key, value, 1)).transpose()?;
    Ok(limit.and_then(|limit| u64::try_from(limit).ok()))
}

fn include_usage(fields: &mut Fields, stream: bool) -> Result<bool, ApiError> {
    let Some(mut options) = fields.take_object("stream_options")? else { return Ok(false) };
    if !stream {
        let message = "`stream_options` is for streams alone: set `stream` to true or leave it out.";
        return Err(ApiError::invalid("stream_options", message));
    }
    Ok(options.take_bool("include_usage")?.unwrap_or(false))
}

/// What would change the answer and cannot be done is refused, never dropped in silence.
fn refuse_unsupported(fields: &mut Fields) -> Result<(), ApiError> {
    let n = fields.take("n").map_or(Ok(1), |n| integer("n", &n, 1))?;
    if n > 1 {
        return Err(ApiError::invalid("n", "`n` must be 1: an agent gives one answer to a request."));
    }
    let modalities = fields.take_array("modalities")?.unwrap_or_default();
    if modalities.iter().any(|modality| modality != "text") {
        return Err(ApiError::invalid(
            "modalities",
            "`modalities` may only be [\"text\"]: this server answers in text.",
        ));
    }
    let unsupported = [
        ("audio", "`audio` is not supported: this server answers in text."),
        ("functions", "`functions` is not supported: offer the functions as `tools`."),
        ("function_call", "`function_call` is not supported: use `tool_choice`."),
    ];
    for (key, message) in unsupported {
        if fields.take(key).is_some_and(|value| value != 0) {
            return Err(ApiError::invalid(key, message));
        }
    }
    Ok(())
}

/// `logprobs` and `top_logprobs` stay among the rest where they ask for something.
fn check_logprobs(fields: &mut Fields) -> Result<(), ApiError> {
    fields.check("logprobs", Check::Bool)?;
    let asked = fields.get("logprobs") == Some(&Value::Bool(true));
    let top = fields.get("top_logprobs").map_or(Ok(0), top_logprobs)?;
    if top > 0 && !asked {
        let message = "`top_logprobs` is for `logprobs` alone: set `logprobs` to true or leave it out.";
        return Err(ApiError::invalid("top_logprobs", message));
    }
    if !asked {
        fields.take("logprobs");
    }
    if top == 0 {
        fields.take("top_logprobs");
    }
    Ok(())
}
