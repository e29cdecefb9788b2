//! The chat completion object: the same events as the stream, folded into one answer.

use super::wire::{AnswerHead, AnswerMessage, ChatCompletion, Choice, FunctionObject};
use super::wire::{Logprobs, ToolCallObject, finish_reason};
use crate::core::event::{Outcome, RunEvent};
use crate::core::item::{Item, Message, Origin, Part, Role};
use crate::core::logprob::Logprob;
use crate::core::transcript::TextJoin;
use crate::core::usage::Usage;
use crate::dialect::error::ApiError;

/// Gathers a run for a client that did not ask for a stream.
#[derive(Debug, Default)]
pub struct Gathered {
    text: String,
    text_join: TextJoin,
    logprobs: Vec<Logprob>,
    refusal: String,
    reasoning: String,
    reasoning_join: TextJoin,
    tool_calls: Vec<(u32, ToolCallObject)>,
    usage: Usage,
    outcome: Option<Outcome>,
}

impl Gathered {
    pub fn on(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ItemDone { index, item } => self.item(*index, item),
            RunEvent::StepDone { usage } | RunEvent::Spent { usage } => self.usage += *usage,
            RunEvent::Finished { outcome } => self.outcome = Some(outcome.clone()),
            _ => {}
        }
    }

    fn item(&mut self, index: u32, item: &Item) {
        match item {
            Item::Message(Message { role: Role::Assistant, content, .. }) => {
                self.text_join.begin_item();
                for part in content {
                    match part {
                        Part::Text { text, logprobs } => {
                            push(&mut self.text, &mut self.text_join, text);
                            self.logprobs.extend_from_slice(logprobs);
                        }
                        Part::Refusal { refusal } => self.refusal.push_str(refusal),
                        part => push(&mut self.text, &mut self.text_join, part.as_text().unwrap_or_default()),
                    }
                }
            }
            Item::Reasoning(reasoning) => {
                self.reasoning_join.begin_item();
                push(&mut self.reasoning, &mut self.reasoning_join, &reasoning.text);
            }
            Item::ToolCall(call) if call.origin == Origin::Client => {
                let function = FunctionObject { name: call.name.clone(), arguments: call.arguments.clone() };
                let call = ToolCallObject { id: call.call_id.clone(), kind: "function", function };
                self.tool_calls.push((index, call));
            }
            _ => {}
        }
    }

    /// The answer, or the error that the run ended with.
    pub fn into_object(mut self, head: AnswerHead) -> Result<ChatCompletion, ApiError> {
        let Some(outcome) = self.outcome else {
            return Err(ApiError::new(500, "server_error", Some("internal_error"), "The run ended unexpectedly."));
        };
        let finish_reason = finish_reason(&outcome)?;
        self.tool_calls.sort_by_key(|(index, _)| *index);
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let only_calls = self.text.is_empty() && (!self.tool_calls.is_empty() || !self.refusal.is_empty());
        let message = AnswerMessage {
            role: "assistant",
            content: if only_calls { None } else { Some(self.text) },
            refusal: some(self.refusal),
            reasoning_content: some(self.reasoning),
            tool_calls: self.tool_calls.into_iter().map(|(_, call)| call).collect(),
        };
        let AnswerHead { id, created, model } = head;
        let choices = [Choice { index: 0, message, logprobs: Logprobs::of(self.logprobs), finish_reason }];
        Ok(ChatCompletion { id, object: "chat.completion", created, model, choices, usage: self.usage.into() })
    }
}

fn push(all: &mut String, join: &mut TextJoin, text: &str) {
    all.push_str(join.before(text));
    all.push_str(text);
}
