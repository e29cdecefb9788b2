//! Run events into Responses events and, at their end, the response object. The stream, the plain answer and the stored
//! response are all made here, so they cannot differ.

mod slot;

use super::content::Content;
use super::events::{Body, Event, Place};
use super::items::{Status, WireItem};
use super::resource::{Resource, error_details, incomplete_details, status};
use super::settings::Settings;
use super::view::View;
use crate::core::event::{Delta, Outcome, RunEvent};
use crate::core::item::{self, Item};
use crate::core::usage::Usage;
use crate::dialect::activity::ToolActivity;
use crate::dialect::error::ApiError;
use serde::{Deserialize, Serialize};
use slot::Slot;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// What is known of a response before it begins. Stored with it, so that whatever was said of it can be said again.
#[derive(Clone, Serialize, Deserialize)]
pub struct Head {
    pub id: String,
    /// Unix time in seconds.
    pub created_at: u64,
    /// The profile's id, whatever model stands behind it.
    pub model: String,
    pub settings: Arc<Settings>,
    pub activity: ToolActivity,
    pub view: View,
    /// Kept beside the head, which is written before the run begins.
    #[serde(skip)]
    pub ended: EndTime,
}

/// When a response ended, in Unix seconds. Each fold over a run asks it, and all must be told the same: the clock is
/// read by the first.
#[derive(Clone, Default)]
pub struct EndTime {
    clock: Option<fn() -> u64>,
    time: Arc<OnceLock<u64>>,
}

impl EndTime {
    pub fn by(clock: fn() -> u64) -> Self {
        Self { clock: Some(clock), time: Arc::default() }
    }

    pub fn at(time: Option<u64>) -> Self {
        Self { clock: None, time: Arc::new(time.map_or_else(OnceLock::new, OnceLock::from)) }
    }

    pub fn get(&self) -> Option<u64> {
        self.time.get().copied().or_else(|| self.clock.map(|clock| *self.time.get_or_init(clock)))
    }
}

pub struct Fold {
    head: Head,
    /// What the client is shown, in the order of `output_index`.
    slots: Vec<Slot>,
    /// Place among the slots by the index of the run's item: some items are hidden, and a call and its output may be one.
    by_index: HashMap<u32, usize>,
    /// Place of the `mcp_call` items that wait for their output, by call id.
    running: HashMap<String, usize>,
    usage: Usage,
    /// The client has been told that the response is in progress. One in the background waits for its turn first.
    begun: bool,
    outcome: Option<Outcome>,
}

impl Fold {
    pub fn new(head: Head) -> Self {
        let (slots, by_index, running) = Default::default();
        let begun = !head.settings.background;
        Self { head, slots, by_index, running, usage: Usage::default(), begun, outcome: None }
    }

    /// Whether the response can be asked for again.
    pub fn is_stored(&self) -> bool {
        self.head.settings.store
    }

    /// The events before the run has said anything.
    pub fn open(&self) -> [Event; 2] {
        let state = if self.begun { "response.in_progress" } else { "response.queued" };
        ["response.created", state].map(|kind| self.snapshot(kind))
    }

    pub fn on(&mut self, event: &RunEvent) -> Vec<Event> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            out.push(self.snapshot("response.in_progress"));
        }
        match event {
            RunEvent::ItemStarted { index, item } => self.started(*index, item, &mut out),
            RunEvent::Delta { index, delta } => self.delta(*index, delta, &mut out),
            RunEvent::ItemDone { index, item } => self.done(*index, item, &mut out),
            RunEvent::StepDone { usage } | RunEvent::Spent { usage } => self.usage += *usage,
            RunEvent::Finished { outcome } => self.finished(outcome, &mut out),
            RunEvent::Started | RunEvent::Resumed | RunEvent::Waiting { .. } => {}
        }
        out
    }

    /// The response as it stands.
    pub fn resource(&self) -> Resource {
        let Head { id, created_at, model, settings, ended, .. } = &self.head;
        let outcome = self.outcome.as_ref();
        let waiting = if self.begun { "in_progress" } else { "queued" };
        let status = outcome.map_or(waiting, status);
        Resource {
            id: id.clone(),
            object: "response",
            created_at: *created_at,
            completed_at: if status == "completed" { ended.get() } else { None },
            status,
            incomplete_details: outcome.and_then(incomplete_details),
            error: outcome.and_then(|outcome| match outcome {
                Outcome::Failed { failure } => Some(error_details(failure)),
                _ => None,
            }),
            model: model.clone(),
            output: self.slots.iter().map(|slot| slot.item.clone()).collect(),
            usage: outcome.map(|_| self.usage.into()),
            settings: Arc::clone(settings),
        }
    }

    /// The plain answer: a client that reads no stream is told of a failure by the HTTP status.
    pub fn into_answer(self) -> Result<Resource, ApiError> {
        match &self.outcome {
            Some(Outcome::Failed { failure }) => Err(ApiError::from(failure)),
            Some(_) => Ok(self.resource()),
            None => Err(ApiError::new(500, "server_error", Some("internal_error"), "The run ended unexpectedly.")),
        }
    }

    fn started(&mut self, index: u32, item: &Item, out: &mut Vec<Event>) {
        if let Item::ToolOutput(output) = item
            && let Some(at) = self.running.remove(&output.call_id)
        {
            self.by_index.insert(index, at);
            return;
        }
        let Some(wire) = WireItem::begun(item, self.head.activity, self.head.view) else { return };
        let at = self.slots.len();
        self.by_index.insert(index, at);
        if let (WireItem::McpCall { .. }, Item::ToolCall(call)) = (&wire, item) {
            self.running.insert(call.call_id.clone(), at);
        }
        self.slots.push(Slot::open(wire, at, out));
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<Event>) {
        let Some(at) = self.by_index.get(&index).copied() else { return };
        let Some(slot) = self.slots.get_mut(at) else { return };
        match delta {
            Delta::Text(text) => slot.say(Content::output_text(text.as_str()), out),
            Delta::Logprobs(logprobs) => slot.hear(logprobs),
            Delta::Refusal(text) => slot.say(Content::Refusal { refusal: text.clone() }, out),
            Delta::Reasoning(text) if self.head.view.summary => {
                slot.say(Content::SummaryText { text: text.clone() }, out);
            }
            Delta::Reasoning(text) => slot.say(Content::ReasoningText { text: text.clone() }, out),
            Delta::Arguments(text) => slot.write_arguments(text, out),
            Delta::Progress(_) => {}
        }
    }

    fn done(&mut self, index: u32, item: &Item, out: &mut Vec<Event>) {
        let Some(at) = self.by_index.get(&index).copied() else { return };
        let Some(slot) = self.slots.get_mut(at) else { return };
        match item {
            Item::Message(message) => {
                slot.item.is_in(message.phase);
                slot.close(message.status.into(), out);
            }
            Item::Reasoning(reasoning) => {
                if self.head.view.sealed {
                    slot.item.reveal(reasoning);
                }
                slot.close(reasoning.status.into(), out);
            }
            Item::ToolCall(call) => {
                let is_whole = call.status == item::Status::Completed;
                if is_whole {
                    slot.end_arguments(out);
                }
                // The server's call goes on until its output is there.
                if !is_whole || matches!(slot.item, WireItem::FunctionCall { .. }) {
                    slot.close(call.status.into(), out);
                }
            }
            Item::ToolOutput(output) => slot.answer(output, out),
            Item::Compaction(_) => slot.close(Status::Completed, out),
            Item::Opaque { .. } => {}
        }
    }

    fn finished(&mut self, outcome: &Outcome, out: &mut Vec<Event>) {
        // A run that ends as it should has closed its items; one that vanished has not.
        for slot in self.slots.iter_mut().filter(|slot| !slot.done) {
            slot.close(Status::Incomplete, out);
        }
        self.outcome = Some(outcome.clone());
        out.push(self.snapshot(match status(outcome) {
            "completed" => "response.completed",
            "failed" => "response.failed",
            _ => "response.incomplete",
        }));
    }

    fn snapshot(&self, kind: &'static str) -> Event {
        Event { kind, place: Place::default(), body: Body::Response { response: Box::new(self.resource()) } }
    }
}
