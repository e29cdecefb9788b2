//! A Responses request body into a `RunSpec`. `docs/responses.md` lists every field and what becomes of it.

use super::history::{self, History};
use super::input::{Input, Reference};
use super::settings::Settings;
use super::view::{Included, View};
use super::{context, conversations, input, items, text, tools, view};
use crate::core::item::Item;
use crate::core::ports::conversations::ConversationKey;
use crate::core::ports::store::{Found, ItemKey};
use crate::core::run::{Compaction, RunSpec};
use crate::dialect::error::{ApiError, excerpt};
use crate::dialect::fields::{Check, Fields, integer, top_logprobs};
use crate::dialect::user;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A Responses request, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponsesRequest {
    /// The profile asked for.
    pub model: String,
    pub stream: bool,
    pub view: View,
    /// What is new, once its [references](Self::wanted) are filled in; the history comes from
    /// `settings.previous_response_id` or from the conversation.
    pub input: Vec<Arc<Item>>,
    references: Vec<Reference>,
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
    ("prompt_cache_retention", Check::String),
];

/// Fields that would change the answer and that we cannot serve.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("prompt", "send `instructions` and `input`"),
    ("moderation", "this server moderates nothing"),
    ("image", "this server sends images on as they are"),
    ("access_programs", "this server knows none"),
    ("messages", "send them as `input`"),
    ("response_format", "use `text.format`"),
    ("max_tokens", "use `max_output_tokens`"),
    ("max_completion_tokens", "use `max_output_tokens`"),
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
    let Input { items: input, references } = match fields.take("input") {
        Some(value) => input::parse(value)?,
        None if !needs_input => Input::default(),
        None => return Err(fields.missing("input", "a string or an array of items")),
    };
    let tools = fields.take_array("tools")?.map(tools::parse).transpose()?.flatten();
    let choice = tools::choice(fields.take("tool_choice"))?;
    let mut params = passed_on(&mut fields)?;
    prompt_cache_options(&mut fields, &mut params)?;
    let included = view::included(&mut fields)?;
    let top_logprobs = logprobs(&mut fields, included, &mut params)?;
    let (format, text) = text::parse(fields.take_object("text")?, &mut params)?;
    let reasoning = text::reasoning(fields.take_object("reasoning")?, &mut params)?;
    let (truncation, compaction) = (context::truncation(&mut fields)?, context::compaction(&mut fields)?);
    let summary = reasoning.as_ref().is_some_and(|reasoning| reasoning.get("summary").is_some_and(Value::is_string));
    let settings = Settings {
        tools: tools.iter().flatten().map(tools::echo).collect(),
        tool_choice: choice.echo,
        truncation: context::word(truncation).to_owned(),
        text,
        top_logprobs,
        reasoning,
        ..settings(&mut fields, &params)?
    };
    let view = View { summary, sealed: included.sealed };
    let conversation = conversation(&mut fields, &settings)?;
    let spec = RunSpec {
        input: Vec::new(),
        tools,
        tool_choice: choice.choice,
        allowed_tools: choice.allowed,
        format,
        params,
        max_output_tokens: settings.max_output_tokens,
        max_tool_calls: settings.max_tool_calls,
        truncation,
        compaction,
    };
    Ok(ResponsesRequest { model, stream, view, input, references, conversation, settings, spec })
}

/// The conversation that a request is part of.
fn conversation(fields: &mut Fields, settings: &Settings) -> Result<Option<ConversationKey>, ApiError> {
    let conversation = fields.take("conversation").map(conversations::key).transpose()?;
    if conversation.is_some() && settings.previous_response_id.is_some() {
        let message = "`conversation` and `previous_response_id` exclude each other: each says what the request goes on from. Send one of them.";
        return Err(ApiError::invalid("conversation", message));
    }
    Ok(conversation)
}

/// What the response repeats of the plain fields; `params` has those that are passed on.
fn settings(fields: &mut Fields, params: &Map<String, Value>) -> Result<Settings, ApiError> {
    let previous_response_id = match fields.has("previous_response_id") {
        true => Some(fields.need_string("previous_response_id")?),
        false => None,
    };
    fields.check("metadata", Check::Metadata)?;
    let string = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let store = fields.take_bool("store")?.unwrap_or(true);
    let background = fields.take_bool("background")?.unwrap_or(false);
    if background && !store {
        let message =
            "`background` needs `store`: its answer is fetched by its id. Leave `store` out or set it to true.";
        return Err(ApiError::invalid("background", message));
    }
    Ok(Settings {
        previous_response_id,
        instructions: fields.take_string("instructions")?.filter(|text| !text.is_empty()),
        parallel_tool_calls: params.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true),
        max_output_tokens: limit(fields, "max_output_tokens", 16)?,
        max_tool_calls: limit(fields, "max_tool_calls", 1)?,
        store,
        background,
        service_tier: string("service_tier").unwrap_or_else(|| "default".to_owned()),
        metadata: fields.take("metadata").and_then(|value| value.as_object().cloned()).unwrap_or_default(),
        safety_identifier: string("safety_identifier"),
        prompt_cache_key: string("prompt_cache_key"),
        ..Settings::default()
    })
}

impl ResponsesRequest {
    /// The person it is for, where it says that.
    pub fn user(&self) -> Option<&str> {
        user::named(&self.spec.params)
    }

    /// The same request with what came of it when it was made: its input had its references filled in, and its settings
    /// what the profile said then.
    pub fn as_it_began(self, settings: &Settings, input: &[Arc<Item>]) -> Self {
        Self { settings: settings.clone(), input: input.to_vec(), references: Vec::new(), ..self }
    }

    /// The stored items that `input` names by their ids. [`Self::fill_in`] takes what was found of each.
    pub fn wanted(&self) -> Vec<ItemKey> {
        self.references.iter().map(|reference| items::key(&reference.id)).collect()
    }

    /// Puts the stored items where `input` names them, `found` in the order of [`Self::wanted`].
    pub fn fill_in(&mut self, found: Vec<Found>) -> Result<(), ApiError> {
        let mut found = found.into_iter();
        let mut written = 0;
        for Reference { at, id } in std::mem::take(&mut self.references) {
            let items = found.next().flatten().ok_or_else(|| not_found(&id))?;
            let at = at.saturating_add(written).min(self.input.len());
            written = written.saturating_add(items.len());
            self.input.splice(at..at, items);
        }
        Ok(())
    }

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

/// A whole number from `min`.
fn limit(fields: &mut Fields, key: &str, min: i64) -> Result<Option<u64>, ApiError> {
    let limit = fields.take(key).map(|value| integer(key, &value, min)).transpose()?;
    Ok(limit.and_then(|limit| u64::try_from(limit).ok()))
}

fn not_found(id: &str) -> ApiError {
    let message = format!(
        "Item with id '{}' not found: it was never stored, or deleted, or is too old. Send the item itself.",
        excerpt(id)
    );
    ApiError::new(404, "invalid_request_error", None, message).with_param("input")
}

/// Reads `top_logprobs`, and asks the model for what it or `include` asks for.
fn logprobs(fields: &mut Fields, included: Included, params: &mut Map<String, Value>) -> Result<u8, ApiError> {
    let top = fields.take("top_logprobs").map_or(Ok(0), |top| top_logprobs(&top))?;
    if included.logprobs || top > 0 {
        params.insert("logprobs".to_owned(), true.into());
    }
    if top > 0 {
        params.insert("top_logprobs".to_owned(), top.into());
    }
    Ok(top)
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

/// A cache makes no difference to the answer, so what is said of it is passed on, and what nobody here could do is not.
fn prompt_cache_options(fields: &mut Fields, params: &mut Map<String, Value>) -> Result<(), ApiError> {
    let Some(mut options) = fields.take_object("prompt_cache_options")? else { return Ok(()) };
    if options.take_bool("prewarm")? == Some(true) {
        let path = options.path("prewarm");
        let message = format!("`{path}` is not supported: every request is answered.");
        return Err(ApiError::invalid(path, message));
    }
    // It names a response of this server, which the model's server does not know.
    options.take("comparison_response_id");
    let options = options.rest();
    if !options.is_empty() {
        params.insert("prompt_cache_options".to_owned(), options.into());
    }
    Ok(())
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
    Ok(())
}
