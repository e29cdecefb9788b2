//! One model call, folded: what the upstream yields in, items and their events out.

use super::agent::{Offer, Owner};
use super::call::CallDraft;
use super::effect::Effect;
use crate::core::event::{Delta, RunEvent};
use crate::core::id::RunId;
use crate::core::item::{Item, Message, Reasoning, Role, Status};
use crate::core::logprob::Logprob;
use crate::core::ports::upstream::{FinishReason, ToolCallFragment, UpstreamEvent};
use crate::core::sealed::{Block, Sealed};
use crate::core::usage::Usage;
use serde_json::Map;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Step {
    run: RunId,
    /// Index of this step's first item among the items of the run.
    base: u32,
    slots: Vec<Slot>,
    /// The calls of this step in the order in which they came. Those whose name has not come yet, and those that are one
    /// too many, have no slot: nothing is told of them.
    drafts: Vec<CallDraft>,
    manner: Manner,
    /// What belongs to the next piece of text.
    logprobs: Vec<Logprob>,
    /// What was sealed while a text was open: a signature that comes late must not cut an answer in two.
    late: Vec<(Arc<str>, Block)>,
    /// Calls the run has begun, those of earlier steps included.
    pub calls: u32,
    pub usage: Usage,
    pub finish: Option<FinishReason>,
    voice: Voice,
}

/// How a step tells what it yields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// It may make one call and no more.
    pub one_call: bool,
    /// The text is not told but by [`Step::release`], or taken by [`Step::take_held`].
    pub held: bool,
    /// A client's call is told once it is whole: in a run that may go on after a crash, half a call could not be taken
    /// back.
    pub whole_calls: bool,
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
    /// Its place among the drafts.
    Call(usize),
    Done(Arc<Item>),
}

impl Step {
    pub fn new(run: RunId, base: u32, calls: u32, manner: Manner) -> Self {
        let (slots, drafts, logprobs, late, usage, finish) = Default::default();
        let voice = if manner.held { Voice::Held(String::new()) } else { Voice::Aloud };
        Self { run, base, slots, drafts, manner, logprobs, late, calls, usage, finish, voice }
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
            UpstreamEvent::Logprobs(logprobs) => self.logprobs.extend(logprobs),
            UpstreamEvent::Refusal(text) => {
                self.release(out);
                self.add_text(Delta::Refusal(text), out);
            }
            UpstreamEvent::Reasoning(text) => self.add_text(Delta::Reasoning(text), out),
            UpstreamEvent::Sealed { maker, piece } => self.add_sealed(maker, piece, out),
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
            if text.is_empty() {
                self.logprobs.clear();
            } else {
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
        for at in 0..self.drafts.len() {
            // A call that was cut off before its name came is nothing that could be told.
            if status == Status::Completed && self.drafts.get(at).is_some_and(|call| !call.has_started()) {
                self.start_call(at, offer, out);
            }
        }
        self.add_late(status, out);
        let mut drafts: Vec<_> = std::mem::take(&mut self.drafts).into_iter().map(Some).collect();
        let mut items = Vec::with_capacity(self.slots.len());
        for (slot, index) in std::mem::take(&mut self.slots).into_iter().zip(self.base..) {
            let item = match slot {
                Slot::Done(item) => {
                    items.push(item);
                    continue;
                }
                Slot::Text(item) => Arc::new(ended(item, status)),
                Slot::Call(at) => {
                    let Some(call) = drafts.get_mut(at).and_then(Option::take) else { continue };
                    Arc::new(Item::ToolCall(call.close(index, status, out)))
                }
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
        self.open_text(&delta, out);
        let index = self.next_index().saturating_sub(1);
        if matches!(delta, Delta::Text(_)) && !self.logprobs.is_empty() {
            let logprobs = Delta::Logprobs(std::mem::take(&mut self.logprobs));
            self.append(&logprobs);
            out.push(Effect::Emit(RunEvent::Delta { index, delta: logprobs }));
        }
        self.append(&delta);
        out.push(Effect::Emit(RunEvent::Delta { index, delta }));
    }

    /// Makes sure that the last item is open and takes this kind of delta.
    fn open_text(&mut self, delta: &Delta, out: &mut Vec<Effect>) {
        if matches!(self.slots.last(), Some(Slot::Text(item)) if takes(item, delta)) {
            return;
        }
        self.close_text(Status::Completed, out);
        self.push_blank(delta, out);
        self.take_late();
    }

    fn push_blank(&mut self, delta: &Delta, out: &mut Vec<Effect>) {
        let index = self.next_index();
        let item = blank(self.run, index, delta);
        out.push(Effect::Emit(RunEvent::ItemStarted { index, item: Arc::new(item.clone()) }));
        self.slots.push(Slot::Text(item));
    }

    /// What is sealed may come when its reasoning is over, or without any. An item that is done is not opened again, so
    /// it gets one of its own.
    fn add_sealed(&mut self, maker: Arc<str>, piece: Block, out: &mut Vec<Effect>) {
        self.late.push((maker, piece));
        if matches!(self.slots.last(), Some(Slot::Text(Item::Message(_)))) {
            return;
        }
        self.open_text(&Delta::Reasoning(String::new()), out);
        self.take_late();
    }

    /// Gives what came late an item, which is over at once. `status` is how the text before it ended.
    fn add_late(&mut self, status: Status, out: &mut Vec<Effect>) {
        if !self.late.is_empty() {
            self.close_text(status, out);
            self.push_blank(&Delta::Reasoning(String::new()), out);
            self.take_late();
            self.close_text(status, out);
        }
    }

    /// Puts what came late into the open reasoning.
    fn take_late(&mut self) {
        let Some(Slot::Text(Item::Reasoning(reasoning))) = self.slots.last_mut() else { return };
        for (maker, piece) in self.late.drain(..) {
            let blank = || Sealed { maker: maker.as_ref().to_owned(), blocks: Vec::new() };
            reasoning.sealed.get_or_insert_with(blank).add(&piece);
        }
    }

    fn append(&mut self, delta: &Delta) {
        if let Some(Slot::Text(item)) = self.slots.last_mut() {
            delta.add_to(item);
        }
    }

    fn close_text(&mut self, status: Status, out: &mut Vec<Effect>) {
        let index = self.next_index().saturating_sub(1);
        match self.slots.pop() {
            Some(Slot::Text(item)) => {
                let item = Arc::new(ended(item, status));
                out.push(Effect::Emit(RunEvent::ItemDone { index, item: Arc::clone(&item) }));
                self.slots.push(Slot::Done(item));
            }
            other => self.slots.extend(other),
        }
    }

    fn add_fragment(&mut self, fragment: ToolCallFragment, offer: &Offer, out: &mut Vec<Effect>) {
        let at = CallDraft::find(&self.drafts, &fragment).unwrap_or_else(|| {
            let call = CallDraft::new(self.next_call_id(), &fragment);
            self.drafts.push(call);
            self.drafts.len().saturating_sub(1)
        });
        let Some(call) = self.drafts.get_mut(at) else { return };
        call.add(fragment, out);
        if call.can_start() && !(self.manner.whole_calls && offer.owner(call.name()) == Owner::Client) {
            self.start_call(at, offer, out);
        }
    }

    fn next_call_id(&mut self) -> String {
        let id = self.run.call(self.calls);
        self.calls = self.calls.saturating_add(1);
        id
    }

    fn start_call(&mut self, at: usize, offer: &Offer, out: &mut Vec<Effect>) {
        if self.manner.one_call && at > 0 {
            return;
        }
        self.close_text(Status::Completed, out);
        self.add_late(Status::Completed, out);
        if let Some(text) = self.take_held() {
            self.voice = Voice::Aside;
            self.logprobs.clear();
            if !text.trim().is_empty() {
                self.add_text(Delta::Reasoning(text), out);
                self.close_text(Status::Completed, out);
            }
        }
        let index = self.next_index();
        if let Some(call) = self.drafts.get_mut(at) {
            call.start(self.run, index, offer, out);
            self.slots.push(Slot::Call(at));
        }
    }
}

/// Whether a delta goes on with this open item.
fn takes(item: &Item, delta: &Delta) -> bool {
    match delta {
        Delta::Text(_) | Delta::Refusal(_) => matches!(item, Item::Message(_)),
        Delta::Reasoning(_) => matches!(item, Item::Reasoning(_)),
        Delta::Logprobs(_) | Delta::Arguments(_) | Delta::Progress(_) => false,
    }
}

fn blank(run: RunId, index: u32, delta: &Delta) -> Item {
    let status = Status::InProgress;
    if let Delta::Reasoning(_) = delta {
        return Item::Reasoning(Reasoning::blank(run.item("rs", index), status));
    }
    let (id, role) = (run.item("msg", index), Role::Assistant);
    Item::Message(Message { id, role, status, phase: None, content: Vec::new(), extra: Map::new() })
}

fn ended(mut item: Item, to: Status) -> Item {
    if let Item::Message(Message { status, .. }) | Item::Reasoning(Reasoning { status, .. }) = &mut item {
        *status = to;
    }
    item
}
