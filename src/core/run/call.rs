//! A tool call being written. All the ways in which upstreams mangle tool calls end here.

use super::agent::{Offer, Owner};
use super::effect::Effect;
use crate::core::event::{Delta, RunEvent};
use crate::core::id::RunId;
use crate::core::item::{Item, Origin, Status, ToolCall};
use crate::core::ports::upstream::ToolCallFragment;
use serde_json::Map;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct CallDraft {
    call: ToolCall,
    /// What the upstream called this call, to find it again by; never shown.
    sent_index: Option<u32>,
    sent_id: Option<String>,
    /// The call's index among the run's items, once `ItemStarted` has been told: that waits for the name, which decides
    /// who runs the tool.
    place: Option<u32>,
}

impl CallDraft {
    /// `call_id` is ours: upstreams give the same ids in every conversation (`functions.look:0`), or none at all.
    pub fn new(call_id: String, first: &ToolCallFragment) -> Self {
        let call = ToolCall {
            id: String::new(),
            call_id,
            name: String::new(),
            arguments: String::new(),
            origin: Origin::Server,
            home: None,
            status: Status::InProgress,
            extra: Map::new(),
        };
        Self { call, sent_index: first.index, sent_id: None, place: None }
    }

    /// Nothing has been told of it, and now it could be.
    pub fn can_start(&self) -> bool {
        self.place.is_none() && !self.call.name.is_empty()
    }

    pub fn name(&self) -> &str {
        &self.call.name
    }

    pub fn has_started(&self) -> bool {
        self.place.is_some()
    }

    /// Place of the call that a fragment goes on with, or `None` where it begins a new one. `calls` has the oldest first.
    ///
    /// A known id decides. Without one the index decides, but some upstreams use an index again for the next call,
    /// so another name, or any name after whole arguments, begins one.
    pub fn find(calls: &[Self], fragment: &ToolCallFragment) -> Option<usize> {
        let id = fragment.id.as_deref().filter(|id| !id.is_empty());
        let name = fragment.name.as_deref().filter(|name| !name.is_empty());
        let mut calls = calls.iter().enumerate().rev().filter(|(_, call)| {
            fragment.index.is_none() || call.sent_index.is_none() || call.sent_index == fragment.index
        });
        let (at, call) = match id {
            Some(id) => calls.find(|(_, call)| call.sent_id.as_deref().is_none_or(|sent| sent == id))?,
            None => calls.next()?,
        };
        let known_by_id = id.is_some() && call.sent_id.as_deref() == id;
        let begins_anew = !known_by_id
            && match name {
                Some(name) => !call.call.name.is_empty() && (call.call.name != name || call.is_whole()),
                None => id.is_some() && call.is_whole(),
            };
        (!begins_anew).then_some(at)
    }

    pub fn add(&mut self, fragment: ToolCallFragment, out: &mut Vec<Effect>) {
        if self.sent_id.is_none() {
            self.sent_id = fragment.id.filter(|id| !id.is_empty());
        }
        if self.call.name.is_empty() {
            self.call.name = fragment.name.unwrap_or_default();
        }
        self.call.arguments.push_str(&fragment.arguments);
        self.call.extra.extend(fragment.extra);
        if let Some(index) = self.place {
            emit_arguments(index, fragment.arguments, out);
        }
    }

    /// Tells of the call, with what has come of its arguments.
    pub fn start(&mut self, run: RunId, index: u32, offer: &Offer, out: &mut Vec<Effect>) {
        self.place = Some(index);
        self.call.id = run.item("fc", index);
        self.call.origin = match offer.owner(&self.call.name) {
            Owner::Client => Origin::Client,
            Owner::Server | Owner::Nobody => Origin::Server,
        };
        self.call.home = offer.home(&self.call.name);
        let item = Item::ToolCall(ToolCall { arguments: String::new(), ..self.call.clone() });
        out.push(Effect::Emit(RunEvent::ItemStarted { index, item: Arc::new(item) }));
        emit_arguments(index, self.call.arguments.clone(), out);
    }

    /// Ends the call and tells what has not been told of its arguments.
    pub fn close(mut self, index: u32, status: Status, out: &mut Vec<Effect>) -> ToolCall {
        if self.call.arguments.trim().is_empty() && status == Status::Completed {
            // Every reader of a whole call expects an object.
            self.call.arguments.push_str("{}");
            emit_arguments(index, "{}".to_owned(), out);
        }
        ToolCall { status, ..self.call }
    }

    fn is_whole(&self) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(&self.call.arguments).is_ok()
    }
}

fn emit_arguments(index: u32, text: String, out: &mut Vec<Effect>) {
    if !text.is_empty() {
        out.push(Effect::Emit(RunEvent::Delta { index, delta: Delta::Arguments(text) }));
    }
}
