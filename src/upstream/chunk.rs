//! What a server streams, read leniently: one payload in, the events it holds out.

mod lenient;
mod logprobs;
mod loose;
mod mend;

use crate::core::logprob::Logprob;
use crate::core::ports::upstream::{FinishReason, ToolCallFragment, UpstreamEvent};
use crate::core::sealed::Block;
use crate::core::usage::Usage;
use lenient::{Lenient, object, objects};
use logprobs::WireLogprobs;
use loose::Loose;
use mend::mend;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;

/// A chunk of a stream, or the whole object of a server that does not stream.
#[derive(Deserialize)]
pub struct Chunk {
    #[serde(default, deserialize_with = "objects")]
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "object")]
    usage: Option<Box<WireUsage>>,
    /// Set instead of or beside `choices` when the server gives up in mid-answer.
    error: Option<Box<Value>>,
}

/// A payload that is no chunk. Serde's own words are not told, as they quote what was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("sent a chunk that is not JSON")]
    NotJson,
    #[error("sent a chunk of an unknown shape")]
    NoChunk,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "object")]
    delta: Option<Box<Delta>>,
    /// What a server that does not stream sends for `delta`.
    #[serde(default, deserialize_with = "object")]
    message: Option<Box<Delta>>,
    #[serde(default, deserialize_with = "object")]
    logprobs: Option<Box<WireLogprobs>>,
    #[serde(default)]
    finish_reason: Loose,
    #[serde(default)]
    error: Option<Box<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Loose,
    /// DeepSeek's name, which vLLM, llama.cpp and others took over.
    reasoning_content: Loose,
    /// OpenRouter's and Ollama's name; some servers send both.
    reasoning: Loose,
    refusal: Loose,
    /// OpenRouter's form of reasoning that is signed or encrypted; what can be read of it is in `reasoning` too.
    #[serde(deserialize_with = "objects")]
    reasoning_details: Vec<Block>,
    #[serde(deserialize_with = "objects")]
    tool_calls: Vec<WireCall>,
    /// What `tool_calls` was called before there could be several.
    #[serde(deserialize_with = "object")]
    function_call: Option<Box<WireFunction>>,
}

#[derive(Deserialize)]
struct WireCall {
    #[serde(default)]
    index: Loose,
    #[serde(default)]
    id: Loose,
    #[serde(default, deserialize_with = "object")]
    function: Option<Box<WireFunction>>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireFunction {
    name: Loose,
    arguments: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Loose,
    completion_tokens: Loose,
    #[serde(deserialize_with = "object")]
    prompt_tokens_details: Option<Box<InputDetails>>,
    #[serde(deserialize_with = "object")]
    completion_tokens_details: Option<Box<OutputDetails>>,
    /// DeepSeek's place for `cached_tokens`.
    prompt_cache_hit_tokens: Loose,
    /// Anthropic's place for it, seen through gateways.
    cache_read_input_tokens: Loose,
    cache_creation_input_tokens: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Loose,
    cache_write_tokens: Loose,
    cache_creation_tokens: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Loose,
}

/// What has been read of one answer, beyond the events handed on at once.
#[derive(Debug, Default)]
pub struct Answer {
    /// Names the model to those who keep what it has sealed.
    pub maker: Arc<str>,
    /// Held back to the end, because usage comes after it and some servers say it twice.
    pub finish: Option<FinishReason>,
    /// The last that came: servers that send it with every chunk send running totals.
    pub usage: Option<Usage>,
    pub has_calls: bool,
    /// Whether anything came that a completion has and another JSON object has not.
    pub has_choice: bool,
}

impl Chunk {
    pub fn parse(payload: &[u8]) -> Result<Box<Self>, Unreadable> {
        // As text, of which not each string must be looked at for being that.
        let chunk = str::from_utf8(payload).map_err(drop).and_then(|text| serde_json::from_str(text).map_err(drop));
        let chunk = chunk.or_else(|()| {
            // By way of a `Value`, which takes the last of two equal keys where a struct refuses both.
            let value: Value = serde_json::from_str(&mend(payload))?;
            Lenient::deserialize(value)
        });
        chunk.map_err(|_| Unreadable::NotJson)?.into_object().ok_or(Unreadable::NoChunk)
    }

    /// The error object in this chunk, wherever the server put it.
    pub fn take_error(&mut self) -> Option<Value> {
        let in_choice = || self.choices.first_mut().and_then(|choice| choice.error.take());
        let error = *self.error.take().or_else(in_choice)?;
        // Some servers send the key with every chunk, empty.
        (error.as_object().is_none_or(|error| !error.is_empty()) && error != "" && error != false).then_some(error)
    }

    /// Adds this chunk's events to `events` and the rest to `answer`. False if the model itself reports an error.
    pub fn read(self, answer: &mut Answer, events: &mut VecDeque<UpstreamEvent>) -> bool {
        if let Some(usage) = self.usage {
            answer.usage = Some((*usage).into());
        }
        // One choice is all that is ever asked for.
        let Some(choice) = self.choices.into_iter().next() else { return true };
        answer.has_choice = true;
        let mut logprobs = choice.logprobs.map(|logprobs| logprobs.read()).unwrap_or_default();
        for (delta, whole) in [(choice.message, true), (choice.delta, false)] {
            if let Some(delta) = delta {
                delta.read(whole, take(&mut logprobs), answer, events);
            }
        }
        match choice.finish_reason.as_str() {
            None | Some("") => {}
            Some("error") => return false,
            Some(reason) => answer.finish = Some(finish_reason(reason)),
        }
        true
    }
}

impl Answer {
    /// The reason to report at the end. Several servers say `stop` after tool calls.
    pub fn finish_reason(&self) -> FinishReason {
        match self.finish {
            None | Some(FinishReason::Stop) if self.has_calls => FinishReason::ToolCalls,
            reason => reason.unwrap_or(FinishReason::Stop),
        }
    }
}

impl Delta {
    /// `whole`: the calls are complete and numbered by their place, as no index comes with them.
    fn read(self, whole: bool, logprobs: Vec<Logprob>, answer: &mut Answer, events: &mut VecDeque<UpstreamEvent>) {
        let reasoning = [self.reasoning_content, self.reasoning].into_iter().map(Loose::into_text);
        let reasoning = reasoning.into_iter().find(|text| !text.is_empty());
        let reasoning = reasoning.unwrap_or_else(|| readable(&self.reasoning_details));
        let (text, refusal) = (self.content.into_text(), self.refusal.into_text());
        // A list goes with the text of its chunk, or of a later one where a character is spread over several. The tokens
        // of thoughts and calls have nothing here that they could go with.
        let of_text =
            !text.is_empty() || reasoning.is_empty() && self.tool_calls.is_empty() && self.function_call.is_none();
        push(reasoning, UpstreamEvent::Reasoning, events);
        let sealed = |piece| UpstreamEvent::Sealed { maker: Arc::clone(&answer.maker), piece };
        events.extend(self.reasoning_details.into_iter().map(sealed));
        if of_text && !logprobs.is_empty() {
            events.push_back(UpstreamEvent::Logprobs(logprobs));
        }
        push(text, UpstreamEvent::Text, events);
        push(refusal, UpstreamEvent::Refusal, events);
        let legacy = self.function_call.map(|function| WireCall {
            index: Loose::Other(Box::new(0.into())),
            id: Loose::Nothing,
            function: Some(function),
            extra: Map::new(),
        });
        for (place, call) in (0u32..).zip(self.tool_calls.into_iter().chain(legacy)) {
            answer.has_calls = true;
            events.push_back(UpstreamEvent::ToolCall(call.read(whole.then_some(place))));
        }
    }
}

fn push(text: String, event: fn(String) -> UpstreamEvent, events: &mut VecDeque<UpstreamEvent>) {
    if !text.is_empty() {
        events.push_back(event(text));
    }
}

/// What can be read of reasoning that comes in blocks alone.
fn readable(blocks: &[Block]) -> String {
    let text = |block: &Block| Some(block.get("text").or_else(|| block.get("summary"))?.as_str()?.to_owned());
    blocks.iter().filter_map(text).collect()
}

impl WireCall {
    fn read(mut self, place: Option<u32>) -> ToolCallFragment {
        self.extra.shift_remove("type");
        let function = self.function.unwrap_or_default();
        let index = self.index.as_count().and_then(|index| u32::try_from(index).ok());
        ToolCallFragment {
            index: index.or(place),
            id: self.id.into_name(),
            name: function.name.into_name(),
            arguments: function.arguments.into_arguments(),
            extra: self.extra,
        }
    }
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "content_filter" | "safety" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        let input = usage.prompt_tokens_details.unwrap_or_default();
        let output = usage.completion_tokens_details.unwrap_or_default();
        let first = |counts: &[&Loose]| counts.iter().find_map(|count| count.as_count()).unwrap_or(0);
        Self {
            input: first(&[&usage.prompt_tokens]),
            output: first(&[&usage.completion_tokens]),
            cached: first(&[&input.cached_tokens, &usage.prompt_cache_hit_tokens, &usage.cache_read_input_tokens]),
            cache_write: first(&[
                &input.cache_write_tokens,
                &input.cache_creation_tokens,
                &usage.cache_creation_input_tokens,
            ]),
            reasoning: first(&[&output.reasoning_tokens]),
        }
    }
}

#[cfg(test)]
mod tests;
