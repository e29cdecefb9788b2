//! One item of the output while it is being written.

use super::super::content::Content;
use super::super::events::{Body, Event, Place};
use super::super::items::{Status, WireItem};
use crate::core::item::ToolOutput;
use crate::core::logprob::Logprob;

pub(super) struct Slot {
    pub item: WireItem,
    pub done: bool,
    /// The item's `output_index`.
    at: usize,
    /// What goes with the next piece of text.
    logprobs: Vec<Logprob>,
}

impl Slot {
    pub fn open(item: WireItem, at: usize, out: &mut Vec<Event>) -> Self {
        let slot = Self { item, done: false, at, logprobs: Vec::new() };
        out.push(slot.event("response.output_item.added", slot.whole(), slot.body()));
        if let WireItem::McpCall { .. } = &slot.item {
            out.push(slot.event("response.mcp_call.in_progress", slot.place(), Body::Nothing {}));
        }
        slot
    }

    pub fn hear(&mut self, logprobs: &[Logprob]) {
        self.logprobs.extend_from_slice(logprobs);
    }

    /// Adds to the open part if it is of the same kind, and else opens the next one.
    pub fn say(&mut self, mut piece: Content, out: &mut Vec<Event>) {
        if let Content::OutputText { logprobs, .. } = &mut piece {
            *logprobs = std::mem::take(&mut self.logprobs);
        }
        let Some(names) = Names::of(&piece) else { return };
        let last = self.item.parts_mut().and_then(|parts| parts.last());
        if !last.is_some_and(|last| same_kind(last, &piece)) {
            self.end_part(out);
            let Some(parts) = self.item.parts_mut() else { return };
            parts.push(blank(&piece));
            let place = self.part_place(&piece);
            out.push(self.event(names.added, place, Body::Part { part: blank(&piece) }));
        }
        if let Some(last) = self.item.parts_mut().and_then(|parts| parts.last_mut()) {
            append(last, &piece);
        }
        let place = self.part_place(&piece);
        let body = match piece {
            Content::OutputText { text: delta, logprobs, .. } => Body::TextDelta { delta, logprobs },
            piece => Body::Delta { delta: piece.into_text() },
        };
        out.push(self.event(names.delta, place, body));
    }

    /// Ends the part that is open, which is the last one.
    fn end_part(&mut self, out: &mut Vec<Event>) {
        let Some(part) = self.item.parts_mut().and_then(|parts| parts.last()).cloned() else { return };
        let Some(names) = Names::of(&part) else { return };
        let place = self.part_place(&part);
        let body = match part.clone() {
            Content::OutputText { text, logprobs, .. } => Body::WholeText { text, logprobs },
            Content::Refusal { refusal } => Body::Refusal { refusal },
            part => Body::Text { text: part.into_text() },
        };
        out.push(self.event(names.done, place.clone(), body));
        out.push(self.event(names.ended, place, Body::Part { part }));
    }

    pub fn write_arguments(&mut self, piece: &str, out: &mut Vec<Event>) {
        let kind = match &mut self.item {
            WireItem::FunctionCall { arguments, .. } => {
                arguments.push_str(piece);
                "response.function_call_arguments.delta"
            }
            WireItem::McpCall { arguments, .. } => {
                arguments.push_str(piece);
                "response.mcp_call_arguments.delta"
            }
            _ => return,
        };
        out.push(self.event(kind, self.place(), Body::Delta { delta: piece.to_owned() }));
    }

    pub fn end_arguments(&mut self, out: &mut Vec<Event>) {
        let (kind, arguments) = match &self.item {
            WireItem::FunctionCall { arguments, .. } => ("response.function_call_arguments.done", arguments),
            WireItem::McpCall { arguments, .. } => ("response.mcp_call_arguments.done", arguments),
            _ => return,
        };
        out.push(self.event(kind, self.place(), Body::Arguments { arguments: arguments.clone() }));
    }

    pub fn answer(&mut self, output: &ToolOutput, out: &mut Vec<Event>) {
        self.item.answer(output);
        self.close(self.item.status(), out);
    }

    pub fn close(&mut self, status: Status, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.end_part(out);
        self.item.set_status(status);
        if let WireItem::McpCall { .. } = &self.item {
            let well = status == Status::Completed;
            let kind = if well { "response.mcp_call.completed" } else { "response.mcp_call.failed" };
            out.push(self.event(kind, self.place(), Body::Nothing {}));
        }
        out.push(self.event("response.output_item.done", self.whole(), self.body()));
    }

    fn event(&self, kind: &'static str, place: Place, body: Body) -> Event {
        Event { kind, place, body }
    }

    fn body(&self) -> Body {
        Body::Item { item: self.item.clone() }
    }

    /// The place of an event that brings the item itself.
    fn whole(&self) -> Place {
        Place { output_index: Some(self.at), ..Place::default() }
    }

    fn place(&self) -> Place {
        Place { item_id: Some(self.item.id().to_owned()), ..self.whole() }
    }

    /// The place of the last part, which is of this kind.
    fn part_place(&mut self, part: &Content) -> Place {
        let last = self.item.parts_mut().map(|parts| parts.len().saturating_sub(1));
        match part {
            Content::SummaryText { .. } => Place { summary_index: last, ..self.place() },
            _ => Place { content_index: last, ..self.place() },
        }
    }
}

/// The names of the events of one kind of part: it begins, grows, is whole, and ends.
#[derive(Clone, Copy)]
struct Names {
    added: &'static str,
    delta: &'static str,
    done: &'static str,
    ended: &'static str,
}

impl Names {
    /// `None` for parts that no model writes.
    fn of(part: &Content) -> Option<Self> {
        let (delta, done) = match part {
            Content::OutputText { .. } => ("response.output_text.delta", "response.output_text.done"),
            Content::Refusal { .. } => ("response.refusal.delta", "response.refusal.done"),
            Content::ReasoningText { .. } => ("response.reasoning_text.delta", "response.reasoning_text.done"),
            Content::SummaryText { .. } => {
                return Some(Self {
                    added: "response.reasoning_summary_part.added",
                    delta: "response.reasoning_summary_text.delta",
                    done: "response.reasoning_summary_text.done",
                    ended: "response.reasoning_summary_part.done",
                });
            }
            Content::InputText { .. } | Content::InputImage { .. } | Content::InputFile { .. } => return None,
        };
        Some(Self { added: "response.content_part.added", delta, done, ended: "response.content_part.done" })
    }
}

fn same_kind(one: &Content, other: &Content) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn blank(piece: &Content) -> Content {
    match piece {
        Content::Refusal { .. } => Content::Refusal { refusal: String::new() },
        Content::ReasoningText { .. } => Content::ReasoningText { text: String::new() },
        Content::SummaryText { .. } => Content::SummaryText { text: String::new() },
        _ => Content::output_text(""),
    }
}

fn append(part: &mut Content, piece: &Content) {
    match (part, piece) {
        (Content::OutputText { text, logprobs, .. }, Content::OutputText { text: more, logprobs: likely, .. }) => {
            text.push_str(more);
            logprobs.extend_from_slice(likely);
        }
        (Content::ReasoningText { text }, Content::ReasoningText { text: more })
        | (Content::SummaryText { text }, Content::SummaryText { text: more })
        | (Content::Refusal { refusal: text }, Content::Refusal { refusal: more }) => text.push_str(more),
        _ => {}
    }
}
