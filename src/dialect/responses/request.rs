//! A Responses request body into a `RunSpec`. `docs/responses.md` lists every field and what becomes of it.

use super::history::{self, History};
use super::settings::Settings;
use super::{context, conversations, input, text, tools};
use crate::core::item::Item;
use crate::core::ports::conversations::ConversationKey;
use crate::core::run::{Compaction, RunSpec};
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Check, Fields, integer};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A Responses request, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponsesRequest {
    /// The profile asked for.
    pub model: String,
    pub stream: bool,
    /// What is new; the history comes from `settings.previous_response_id` or from the conversation.
    pub input: Vec<Arc<Item>>,
    pub conversation: Option<ConversationKey>,
    pub settings: Settings,
    spec: RunSpec,
}

/// Fields that go to the model under the same name, once they look right.
const PASSED_ON: &[(&str, Check)] = &[
    ("temperature", Check::Number { min: 0.0, max: 2.0 }),
    ("top_p", Check::Number { min: 0.0, max: 1.0 }),
    ("presence_penalty", Check::Number { min: -2.0, max: 2.0 }),
    ("frequency_penalty", Check::Number { min: -2.0, max: 2.0 }),
    ("parallel_tool_calls", Check::Bool),
    ("user", Check::String),
    ("safety_identifier", Check::String),
    ("prompt_cache_key", Check::String),
    ("service_tier", Check::String),
];

/// Fields that would change the answer and that we cannot serve.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("prompt", "send `instructions` and `input`"),
    ("max_tool_calls", "the profile limits the steps of a run"),
    ("moderation", "this server moderates nothing"),
    ("image", "this server answers in text"),
    ("messages", "send them as `input`"),
    ("response_format", "use `text.format`"),
    ("max_tokens", "use `max_output_tokens`"),
    ("max_completion_tokens", "use `max_output_tokens`"),
];

/// What may be asked to be included and is never there, because the tools it belongs to are not.
const INCLUDABLE: &[&str] = &[
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];

/// Reads a body. Errors name the field and what it should be.
pub fn parse(body: Value) -> Result<ResponsesRequest, ApiError> {
    let fields = Fields::of(body, "")?;
    read(fields, true)
}

/// Reads a body that is about a conversation and asks nothing: if it goes on from a response, it needs no `input`.
pub fn parse_conversation(body: Value) -> Result<ResponsesRequest, ApiError> {
    let fields = Fields::of(body, "")?;
    let asks = !fields.has("previous_response_id") && !fields.has("conversation");
    read(fields, asks)
}

fn read(mut fields: Fields, needs_input: bool) -> Result<ResponsesRequest, ApiError> {
    let model = fields.need_string("model")?;
    refuse_unsupported(&mut fields)?;
    let stream = fields.take_bool("stream")?.unwrap_or(false);
    stream_options(&mut fields, stream)?;
    let input = match fields.take("input") {
        Some(value) => input::parse(value)?,
        None if !needs_input => Vec::new(),
        None => return Err(fields.missing("input", "a string or an array of items")),
    };
    let instructions = fields.take_string("instructions")?.filter(|text| !text.is_empty());
    let previous_response_id = match fields.has("previous_response_id") {
        true => Some(fields.need_string("previous_response_id")?),
        false => None,
    };
    let conversation = fields.take("conversation").map(conversations::key).transpose()?;
    if conversation.is_some() && previous_response_id.is_some() {
        let message = "`conversation` and `previous_response_id` exclude each other: each says what the request goes on from. Send one of them.";
        return Err(ApiError::invalid("conversation", message));
    }
    let tools = fields.take_array("tools")?.map(tools::parse).transpose()?.flatten();
    let choice = tools::choice(fields.take("tool_choice"))?;
    let mut params = passed_on(&mut fields)?;
    let (format, text) = text::parse(fields.take_object("text")?, &mut params)?;
    let reasoning = text::reasoning(fields.take_object("reasoning")?, &mut params)?;
    let (truncation, compaction) = (context::truncation(&mut fields)?, context::compaction(&mut fields)?);
    let max_output_tokens = fields.take("max_output_tokens").map(|max| integer("max_output_tokens", &max, 1));
    let max_output_tokens = max_output_tokens.transpose()?.and_then(|max| u64::try_from(max).ok());
    fields.check("metadata", Check::Metadata)?;
    let metadata = fields.take("metadata").and_then(|value| value.as_object().cloned()).unwrap_or_default();
    let store = fields.take_bool("store")?.unwrap_or(true);
    let background = fields.take_bool("background")?.unwrap_or(false);
    if background && !store {
        let message =
            "`background` needs `store`: its answer is fetched by its id. Leave `store` out or set it to true.";
        return Err(ApiError::invalid("background", message));
    }
    let string = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let settings = Settings {
        previous_response_id,
        conversation: None,
        instructions,
        tools: tools.iter().flatten().map(tools::echo).collect(),
        tool_choice: choice.echo,
        truncation: context::word(truncation).to_owned(),
        parallel_tool_calls: params.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true),
        text,
        top_p: 1.0,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        top_logprobs: 0,
        temperature: 1.0,
        reasoning,
        max_output_tokens,
        max_tool_calls: None,
        store,
        background,
        service_tier: string("service_tier").unwrap_or_else(|| "default".to_owned()),
        metadata,
        safety_identifier: string("safety_identifier"),
        prompt_cache_key: string("prompt_cache_key"),
    };
    let (tool_choice, allowed_tools) = (choice.choice, choice.allowed);
    let spec = RunSpec {
        tools,
        tool_choice,
        allowed_tools,
        format,
        params,
        max_output_tokens,
        truncation,
        compaction,
        ..RunSpec::default()
    };
    Ok(ResponsesRequest { model, stream, input, conversation, settings, spec })
}

impl ResponsesRequest {
    /// Fills in what the profile's sampling says where the request left something out.
    pub fn adopt(&mut self, sampling: &Map<String, Value>) {
        self.settings.adopt(&self.spec, sampling);
    }

    /// Takes the instructions that the conversation had before, if it brought none.
    pub fn inherit_instructions(&mut self, history: &History) {
        let own = &mut self.settings.instructions;
        if own.is_none() {
            own.clone_from(&history.instructions);
        }
    }

    /// What to run: the instructions, what was said before, and what is new.
    pub fn spec(&self, history: &History) -> Result<RunSpec, ApiError> {
        let before = history.before(&self.input);
        history::check_pairs(&before, &self.input)?;
        let system = history::system(self.settings.instructions.as_deref());
        let input = system.into_iter().chain(before).chain(self.input.iter().cloned()).collect();
        Ok(RunSpec { input, ..self.spec.clone() })
    }

    /// What to run for nothing but a summary of the conversation.
    pub fn compaction(&self, history: &History) -> Result<RunSpec, ApiError> {
        let before = history.before(&self.input);
        history::check_pairs(&before, &self.input)?;
        let input = before.into_iter().chain(self.input.iter().cloned()).collect();
        let (tools, told) = (Some(Vec::new()), self.settings.instructions.clone());
        let (params, compaction) = (self.spec.params.clone(), Some(Compaction::Only { told }));
        Ok(RunSpec { input, tools, params, compaction, ..RunSpec::default() })
    }
}

fn passed_on(fields: &mut Fields) -> Result<Map<String, Value>, ApiError> {
    let mut params = Map::new();
    for (key, check) in PASSED_ON {
        fields.check(key, *check)?;
        params.extend(fields.take(key).map(|value| ((*key).to_owned(), value)));
    }
    for key in ["safety_identifier", "prompt_cache_key"] {
        if params.get(key).and_then(Value::as_str).is_some_and(|text| text.chars().count() > 64) {
            return Err(ApiError::invalid(key, format!("`{key}` may have at most 64 characters.")));
        }
    }
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    if params.get("service_tier").and_then(Value::as_str).is_some_and(|tier| !tiers.contains(&tier)) {
        return Err(ApiError::invalid("service_tier", format!("`service_tier` must be one of {}.", tiers.join(", "))));
    }
    Ok(params)
}

fn stream_options(fields: &mut Fields, stream: bool) -> Result<(), ApiError> {
    let Some(mut options) = fields.take_object("stream_options")? else { return Ok(()) };
    if !stream {
        let message = "`stream_options` is for streams alone: set `stream` to true or leave it out.";
        return Err(ApiError::invalid("stream_options", message));
    }
    // Nothing is padded whatever it says; there is no network between us and the model's owner to hide lengths from.
    options.take_bool("include_obfuscation").map(drop)
}

/// What would change the answer and cannot be done is refused, never dropped in silence.
fn refuse_unsupported(fields: &mut Fields) -> Result<(), ApiError> {
    for (key, instead) in UNSUPPORTED {
        if fields.has(key) {
            return Err(ApiError::invalid(*key, format!("`{key}` is not supported here: {instead}.")));
        }
    }
    let logprobs = fields.take("top_logprobs").map_or(Ok(0), |value| integer("top_logprobs", &value, 0))?;
    if logprobs > 0 {
        let message = "`top_logprobs` is not supported: an agent's answer is made of several model calls.";
        return Err(ApiError::invalid("top_logprobs", message));
    }
    for (at, value) in fields.take_array("include")?.unwrap_or_default().iter().enumerate() {
        if !value.as_str().is_some_and(|word| INCLUDABLE.contains(&word)) {
            let path = format!("include[{at}]");
            let message = format!("`{path}` is not supported. There is: {}.", INCLUDABLE.join(", "));
            return Err(ApiError::invalid(path, message));
        }
    }
    Ok(())
}
