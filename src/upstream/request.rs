//! Writes a model call as the body of a chat completions request.

mod format;
mod messages;

use super::pieces::Pieces;
use crate::core::format::{FormatSupport, OutputFormat};
use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::{ModelRequest, ToolChoice};
use format::ResponseFormat;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// A call on its way to one model. Its serialised form is the body without the tools.
pub struct Body<'a> {
    pub model: &'a str,
    /// Only what this model has sealed itself goes back to it.
    pub maker: &'a str,
    pub request: &'a ModelRequest,
    /// The name for `max_output_tokens` where the client used none.
    pub limit_field: &'a str,
    pub format_support: FormatSupport,
}

/// Keys of `params` that are never sent, because they are written from elsewhere.
const OURS: [&str; 7] = ["model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format"];

/// The two names of one limit.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

impl Body<'_> {
    /// What is sent. The tools come last and are written once for all calls that offer them: they are most of a short
    /// call.
    pub fn written(&self) -> serde_json::Result<Pieces> {
        let mut body = serde_json::to_vec(self)?;
        let tools = &self.request.tools;
        if tools.is_empty() {
            return Ok([body.into()].into_iter().collect());
        }
        let end = body.pop();
        body.extend_from_slice(b",\"tools\":");
        let tools = tools.written(|tools| {
            let offers: Vec<Offer<'_>> = tools.iter().map(Offer::new).collect();
            // Values, strings and numbers can be written to memory.
            serde_json::to_vec(&offers).unwrap_or_default()
        });
        Ok([body.into(), tools, end.into_iter().collect()].into_iter().collect())
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ModelRequest { tools, tool_choice, format, params, max_output_tokens, .. } = self.request;
        let (told, sent) = match self.format_support {
            FormatSupport::Prompted => (format.as_deref(), None),
            FormatSupport::Passed | FormatSupport::Strict | FormatSupport::Enforced => (None, format.as_deref()),
        };
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("model", self.model)?;
        let told = told.map(OutputFormat::in_words);
        body.serialize_entry("messages", &messages::of(self.request, self.maker, told.as_deref()))?;
        body.serialize_entry("stream", &true)?;
        body.serialize_entry("stream_options", &json!({"include_usage": true}))?;
        for (key, value) in params.iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
            match max_output_tokens {
                Some(limit) if LIMITS.contains(&key.as_str()) => body.serialize_entry(key, limit)?,
                // OpenAI refuses it where no tools are offered.
                _ if key == "parallel_tool_calls" && tools.is_empty() => {}
                _ => body.serialize_entry(key, value)?,
            }
        }
        if let Some(limit) = max_output_tokens
            && !LIMITS.iter().any(|name| params.contains_key(*name))
        {
            body.serialize_entry(self.limit_field, limit)?;
        }
        if let Some(format) = sent {
            body.serialize_entry("response_format", &ResponseFormat::new(format))?;
        }
        if let Some(choice) = wire_choice(tool_choice).filter(|_| !tools.is_empty()) {
            body.serialize_entry("tool_choice", &choice)?;
        }
        body.end()
    }
}

/// `None` for what every server does anyway: some refuse the field itself.
fn wire_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Function(name) => Some(json!({"type": "function", "function": {"name": name}})),
    }
}

#[derive(serde::Serialize)]
struct Offer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
    #[serde(flatten)]
    beside: &'a Map<String, Value>,
}

#[derive(serde::Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl<'a> Offer<'a> {
    fn new(tool: &'a ToolSpec) -> Self {
        // No schema means no arguments by OpenAI's rules, but some chat templates fail without one.
        let no_arguments = || Cow::Owned(json!({"type": "object", "properties": {}}));
        let function = Function {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_ref().map_or_else(no_arguments, Cow::Borrowed),
            strict: tool.strict,
            extra: &tool.extra,
        };
        Self { kind: "function", function, beside: &tool.beside }
    }
}

#[cfg(test)]
mod tests;
