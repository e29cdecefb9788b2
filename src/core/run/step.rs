//! One model call, folded: what the upstream yields in, items and their events out.

use super::agent::Offer;
use super::call::CallDraft;
use super::effect::Effect;
use crate::core::event::{Delta, RunEvent};
use crate::core::id::RunId;
use crate::core::item::{Item, Message, Reasoning, Role, Status};
use crate::core::ports::upstream::{FinishReason, ToolCallFragment, UpstreamEvent};
use crate::core::usage::Usage;
use serde_json::Map;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Step {
    run: RunId,
    /// Index of this step's first item among the items of the run.
    base: u32,
    slots: Vec<Slot>,
    /// Calls whose name has not come yet: nothing can be told of them, so they take no place among the items.
    nameless: Vec<CallDraft>,
    /// Calls the run has begun, those of earlier steps included.
    pub calls: u32,
    pub usage: Usage,
    pub finish: Option<FinishReason>,
    voice: Voice,
}

/// What becomes of the step's text.
#[derive(Debug)]
enum Voice {
    /// It is told as it comes.
    Aloud,
    /// It may be an answer that must not be told before it was checked.
    Held(String),
    /// It would have been held but stands beside calls, so it is no answer. A client that asked for a form reads every
    /// message as one in that form; so it is told as reasoning.
    Aside,
}

/// A place among the step's items. Only the last one can be open text; calls stay open until the step ends, because
/// their fragments may come interleaved.
#[derive(Debug)]
enum Slot {
    Text(Item),
    Call(CallDraft),
    Done(Arc<Item>),
}

impl Step {
    /// `held`: the text is not told but by [`Step::release`], or taken by [`Step::take_held`].
    pub fn new(run: RunId, base: u32, calls: u32, held: bool) -> Self {
        let (slots, nameless, usage, finish) = Default::default();
        let voice = if held { Voice::Held(String::new()) } else { Voice::Aloud };
        Self { run, base, slots, nameless, calls, usage, finish, voice }
    }

    /// The model has begun to say something.
    pub fn has_content(&self) -> bool {
        !self.slots.is_empty() || matches!(&self.voice, Voice::Held(text) if !text.trim().is_empty())
    }

    pub fn on(&mut self, event: UpstreamEvent, offer: &Offer, out: &mut Vec<Effect>) {
        match event {
            UpstreamEvent::Opened => {}
            UpstreamEvent::Text(text) => match &mut self.voice {
                Voice::Aloud => self.add_text(Delta::Text(text), out),
                Voice::Held(held) => held.push_str(&text),
                Voice::Aside => self.add_text(Delta::Reasoning(text), out),
            },
            UpstreamEvent::Refusal(text) => {
                self.release(out);
                self.add_text(Delta::Refusal(text), out);
            }
            UpstreamEvent::Reasoning(text) => self.add_text(Delta::Reasoning(text), out),
            UpstreamEvent::ToolCall(fragment) => self.add_fragment(fragment, offer, out),
            // Some upstreams report a running total in every chunk, so the last report counts.
            UpstreamEvent::Usage(usage) => self.usage = usage,
            UpstreamEvent::Finish(reason) => self.finish = Some(reason),
        }
    }

    /// Tells what is held, as it is: nothing comes any more that could make it an answer.
    pub fn release(&mut self, out: &mut Vec<Effect>) {
        if let Some(text) = self.take_held() {
            self.voice = Voice::Aloud;
            if !text.is_empty() {
                self.add_text(Delta::Text(text), out);
            }
        }
    }

    /// The text that may be an answer; `None` where none is held.
    pub fn take_held(&mut self) -> Option<String> {
        match &mut self.voice {
            Voice::Held(text) => Some(std::mem::take(text)),
            Voice::Aloud | Voice::Aside => None,
        }
    }

    /// Ends what is still open and returns the step's items in order. `status` is `Incomplete` where the call was cut.
    pub fn close(&mut self, status: Status, offer: &Offer, out: &mut Vec<Effect>) -> Vec<Arc<Item>> {
        for call in std::mem::take(&mut self.nameless) {
            // A call that was cut off before its name came is nothing that could be told.
            if status == Status::Completed {
                self.start_call(call, offer, out);
            }
        }
        let mut items = Vec::with_capacity(self.slots.len());
        for (slot, index) in std::mem::take(&mut self.slots).into_iter().zip(self.base..) {
            let item = match slot {
                Slot::Done(item) => {
                    items.push(item);
                    continue;
                }
                Slot::Text(item) => Arc::new(ended(item, status)),
                Slot::Call(call) => Arc::new(Item::ToolCall(call.close(index, status, out))),
            };
            out.push(Effect::Emit(RunEvent::ItemDone { index, item: Arc::clone(&item) }));
            items.push(item);
        }
        items
    }

    /// Index of the next item to be added.
    fn next_index(&self) -> u32 {
        self.base.saturating_add(u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
    }

    fn add_text(&mut self, delta: Delta, out: &mut Vec<Effect>) {
        if !matches!(self.slots.last(), Some(Slot::Text(item)) if takes(item, &delta)) {
            self.close_text(out);
            let index = self.next_index();
            let item = blank(self.run, index, &delta);
            out.push(Effect::Emit(RunEvent::ItemStarted { index, item: Arc::new(item.clone()) }));
            self.slots.push(Slot::Text(item));
        }
        if let Some(Slot::Text(item)) = self.slots.last_mut() {
            delta.add_to(item);
        }
        let index = self.next_index().saturating_sub(1);
        out.push(Effect::Emit(RunEvent::Delta { index, delta }));
    }

    fn close_text(&mut self, out: &mut Vec<Effect>) {
        let index = self.next_index().saturating_sub(1);
        match self.slots.pop() {
            Some(Slot::Text(item)) => {
                let item = Arc::new(ended(item, Status::Completed));
                out.push(Effect::Emit(RunEvent::ItemDone { index, item: Arc::clone(&item) }));
                self.slots.push(Slot::Done(item));
            }
            other => self.slots.extend(other),
        }
    }

    fn add_fragment(&mut self, fragment: ToolCallFragment, offer: &Offer, out: &mut Vec<Effect>) {
        let calls = self.slots.iter_mut().enumerate().rev().filter_map(|(at, slot)| match slot {
            Slot::Call(call) => Some((at, call)),
            _ => None,
        });
        if let Some((at, call)) = CallDraft::find(calls, &fragment) {
            let index = self.base.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            return call.add(fragment, index, out);
        }
        let nameless = self.nameless.iter_mut().enumerate().rev();
        let mut call = match CallDraft::find(nameless, &fragment).map(|(at, _)| at) {
            Some(at) => self.nameless.remove(at),
            None => CallDraft::new(self.next_call_id(), &fragment),
        };
        call.add(fragment, 0, out);
        if call.has_name() { self.start_call(call, offer, out) } else { self.nameless.push(call) }
    }

    fn next_call_id(&mut self) -> String {
        let id = self.run.call(self.calls);
        self.calls = self.calls.saturating_add(1);
        id
    }

    fn start_call(&mut self, mut call: CallDraft, offer: &Offer, out: &mut Vec<Effect>) {
        self.close_text(out);
        if let Some(text) = self.take_held() {
            self.voice = Voice::Aside;
            if !text.trim().is_empty() {
                self.add_text(Delta::Reasoning(text), out);
                self.close_text(out);
            }
        }
        call.start(self.run, self.next_index(), offer, out);
        self.slots.push(Slot::Call(call));
    }
}

/// Whether a delta goes on with this open item.
fn takes(item: &Item, delta: &Delta) -> bool {
    match delta {
        Delta::Text(_) | Delta::Refusal(_) => matches!(item, Item::Message(_)),
        Delta::Reasoning(_) => matches!(item, Item::Reasoning(_)),
        Delta::Arguments(_) | Delta::Progress(_) => false,
    }
}

fn blank(run: RunId, index: u32, delta: &Delta) -> Item {
    let status = Status::InProgress;
    if let Delta::Reasoning(_) = delta {
        return Item::Reasoning(Reasoning { id: run.item("rs", index), status, text: String::new() });
    }
    let (id, role) = (run.item("msg", index), Role::Assistant);
    Item::Message(Message { id, role, status, content: Vec::new(), extra: Map::new() })
}

fn ended(mut item: Item, to: Status) -> Item {
    if let Item::Message(Message { status, .. }) | Item::Reasoning(Reasoning { status, .. }) = &mut item {
        *status = to;
    }
    item
}
