//! Run events into Responses events and, at their end, the response object. The stream, the plain answer and the stored
//! response are all made here, so they cannot differ.

use super::content::Content;
use super::events::{Body, Event, Place};
use super::items::{Status, WireItem};
use super::resource::{Resource, error_details, incomplete_details, status};
use super::settings::Settings;
use crate::core::event::{Delta, Outcome, RunEvent};
use crate::core::item::{self, Item, ToolOutput};
use crate::core::usage::Usage;
use crate::dialect::activity::ToolActivity;
use crate::dialect::error::ApiError;
use serde::{Deserialize, Serialize};
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

struct Slot {
    item: WireItem,
    done: bool,
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
            RunEvent::StepDone { usage } => self.usage += *usage,
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
        let Some(wire) = WireItem::begun(item, self.head.activity) else { return };
        let at = self.slots.len();
        self.by_index.insert(index, at);
        out.push(event("response.output_item.added", item_place(at), Body::Item { item: wire.clone() }));
        if let (WireItem::McpCall { id, .. }, Item::ToolCall(call)) = (&wire, item) {
            out.push(event("response.mcp_call.in_progress", place(id, at), Body::Nothing {}));
            self.running.insert(call.call_id.clone(), at);
        }
        self.slots.push(Slot { item: wire, done: false });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<Event>) {
        let Some(at) = self.by_index.get(&index).copied() else { return };
        let Some(slot) = self.slots.get_mut(at) else { return };
        match delta {
            Delta::Text(text) => slot.say(at, Content::output_text(text.as_str()), out),
            Delta::Refusal(text) => slot.say(at, Content::Refusal { refusal: text.clone() }, out),
            Delta::Reasoning(text) => slot.say(at, Content::ReasoningText { text: text.clone() }, out),
            Delta::Arguments(text) => slot.write_arguments(at, text, out),
            Delta::Progress(_) => {}
        }
    }

    fn done(&mut self, index: u32, item: &Item, out: &mut Vec<Event>) {
        let Some(at) = self.by_index.get(&index).copied() else { return };
        let Some(slot) = self.slots.get_mut(at) else { return };
        match item {
            Item::Message(item::Message { status, .. }) | Item::Reasoning(item::Reasoning { status, .. }) => {
                slot.close(at, (*status).into(), out);
            }
            Item::ToolCall(call) => {
                let is_whole = call.status == item::Status::Completed;
                if is_whole {
                    slot.end_arguments(at, out);
                }
                // The server's call goes on until its output is there.
                if !is_whole || matches!(slot.item, WireItem::FunctionCall { .. }) {
                    slot.close(at, call.status.into(), out);
                }
            }
            Item::ToolOutput(output) => slot.answer(at, output, out),
            Item::Compaction(_) => slot.close(at, Status::Completed, out),
            Item::Opaque { .. } => {}
        }
    }

    fn finished(&mut self, outcome: &Outcome, out: &mut Vec<Event>) {
        // A run that ends as it should has closed its items; one that vanished has not.
        for (at, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| !slot.done) {
            slot.close(at, Status::Incomplete, out);
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

impl Slot {
    /// Adds to the open part if it is of the same kind, and else opens the next one.
    fn say(&mut self, at: usize, piece: Content, out: &mut Vec<Event>) {
        let goes_on =
            self.item.content_mut().and_then(|content| content.last()).is_some_and(|last| same_kind(last, &piece));
        if !goes_on {
            self.end_part(at, out);
        }
        let id = self.item.id().to_owned();
        let Some(content) = self.item.content_mut() else { return };
        if !goes_on {
            content.push(blank(&piece));
            let place = part_place(&id, at, content.len());
            out.push(event("response.content_part.added", place, Body::Part { part: blank(&piece) }));
        }
        let place = part_place(&id, at, content.len());
        if let Some(last) = content.last_mut() {
            append(last, &piece);
        }
        out.push(match piece {
            Content::Refusal { refusal: delta } => event("response.refusal.delta", place, Body::Delta { delta }),
            Content::ReasoningText { text: delta } => {
                event("response.reasoning_text.delta", place, Body::Delta { delta })
            }
            Content::OutputText { text: delta, .. } | Content::InputText { text: delta } => {
                event("response.output_text.delta", place, Body::TextDelta { delta, logprobs: [] })
            }
            Content::InputImage { .. } => return,
        });
    }

    /// Ends the part that is open, which is the last one.
    fn end_part(&mut self, at: usize, out: &mut Vec<Event>) {
        let id = self.item.id().to_owned();
        let Some(content) = self.item.content_mut() else { return };
        let Some(part) = content.last().cloned() else { return };
        let place = part_place(&id, at, content.len());
        out.push(match part.clone() {
            Content::Refusal { refusal } => event("response.refusal.done", place.clone(), Body::Refusal { refusal }),
            Content::ReasoningText { text } => {
                event("response.reasoning_text.done", place.clone(), Body::Text { text })
            }
            Content::OutputText { text, .. } | Content::InputText { text } => {
                event("response.output_text.done", place.clone(), Body::WholeText { text, logprobs: [] })
            }
            Content::InputImage { .. } => return,
        });
        out.push(event("response.content_part.done", place, Body::Part { part }));
    }

    fn write_arguments(&mut self, at: usize, piece: &str, out: &mut Vec<Event>) {
        let (kind, id) = match &mut self.item {
            WireItem::FunctionCall { id, arguments, .. } => {
                arguments.push_str(piece);
                ("response.function_call_arguments.delta", id)
            }
            WireItem::McpCall { id, arguments, .. } => {
                arguments.push_str(piece);
                ("response.mcp_call_arguments.delta", id)
            }
            _ => return,
        };
        out.push(event(kind, place(id, at), Body::Delta { delta: piece.to_owned() }));
    }

    fn end_arguments(&mut self, at: usize, out: &mut Vec<Event>) {
        let (kind, id, arguments) = match &self.item {
            WireItem::FunctionCall { id, arguments, .. } => ("response.function_call_arguments.done", id, arguments),
            WireItem::McpCall { id, arguments, .. } => ("response.mcp_call_arguments.done", id, arguments),
            _ => return,
        };
        out.push(event(kind, place(id, at), Body::Arguments { arguments: arguments.clone() }));
    }

    fn answer(&mut self, at: usize, output: &ToolOutput, out: &mut Vec<Event>) {
        self.item.answer(output);
        self.close(at, self.item.status(), out);
    }

    fn close(&mut self, at: usize, status: Status, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.end_part(at, out);
        self.item.set_status(status);
        if let WireItem::McpCall { id, .. } = &self.item {
            let well = status == Status::Completed;
            let kind = if well { "response.mcp_call.completed" } else { "response.mcp_call.failed" };
            out.push(event(kind, place(id, at), Body::Nothing {}));
        }
        out.push(event("response.output_item.done", item_place(at), Body::Item { item: self.item.clone() }));
    }
}

fn event(kind: &'static str, place: Place, body: Body) -> Event {
    Event { kind, place, body }
}

fn item_place(at: usize) -> Place {
    Place { output_index: Some(at), ..Place::default() }
}

fn place(id: &str, at: usize) -> Place {
    Place { item_id: Some(id.to_owned()), ..item_place(at) }
}

/// The place of the last of `parts` parts.
fn part_place(id: &str, at: usize, parts: usize) -> Place {
    Place { content_index: Some(parts.saturating_sub(1)), ..place(id, at) }
}

fn same_kind(one: &Content, other: &Content) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn blank(piece: &Content) -> Content {
    match piece {
        Content::Refusal { .. } => Content::Refusal { refusal: String::new() },
        Content::ReasoningText { .. } => Content::ReasoningText { text: String::new() },
        _ => Content::output_text(""),
    }
}

fn append(part: &mut Content, piece: &Content) {
    match (part, piece) {
        (Content::OutputText { text, .. }, Content::OutputText { text: more, .. })
        | (Content::ReasoningText { text }, Content::ReasoningText { text: more })
        | (Content::Refusal { refusal: text }, Content::Refusal { refusal: more }) => text.push_str(more),
        _ => {}
    }
}
