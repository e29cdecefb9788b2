//! What is kept of a response: how it began, and what its request brought. What came of it is in the run's journal, and
//! the object and its stream are made from both, as often as they are asked for.

use super::fold::{EndTime, Fold, Head};
use super::resource::Resource;
use super::stored_head;
use crate::core::event::RunEvent;
use crate::core::id::RunId;
use crate::core::item::Item;
use crate::core::journal::Journal;
use crate::core::ports::store::StoredResponse;
use std::sync::Arc;

#[derive(Clone)]
pub struct Record {
    pub head: Head,
    input: Arc<[Arc<Item>]>,
}

impl Record {
    /// `input` is what the request brought, without the history.
    pub fn new(run: RunId, head: Head, input: Vec<Arc<Item>>) -> Self {
        let input = input.into_iter().zip(0..).map(|(item, number)| with_id(run, item, number)).collect();
        Self { head, input }
    }

    /// Reads what was stored. `None` if it is not what we have written.
    pub fn of(stored: &StoredResponse) -> Option<Self> {
        let mut head = stored_head::unpack(&stored.head)?;
        head.ended = EndTime::at(stored.ended_at);
        Some(Self { head, input: Arc::clone(&stored.input) })
    }

    /// The response as these events leave it.
    pub fn resource(&self, events: impl Iterator<Item = RunEvent>) -> Resource {
        let mut fold = Fold::new(self.head.clone());
        events.for_each(|event| drop(fold.on(&event)));
        fold.resource()
    }

    pub fn input(&self) -> &[Arc<Item>] {
        &self.input
    }

    /// What there is to store once the run is over.
    pub fn stored(&self, journal: Journal) -> StoredResponse {
        let Head { id, settings, .. } = &self.head;
        StoredResponse {
            id: id.clone(),
            previous: settings.previous_response_id.clone(),
            instructions: settings.instructions.clone(),
            input: Arc::clone(&self.input),
            output: journal.items().into(),
            head: stored_head::pack(&self.head),
            journal: Arc::new(journal),
            ended_at: self.head.ended.get(),
        }
    }
}

/// An item that came without an id gets one that no item of the output has.
fn with_id(run: RunId, mut item: Arc<Item>, number: u32) -> Arc<Item> {
    match Arc::make_mut(&mut item) {
        Item::Message(message) => fill(&mut message.id, run, "msg_in", number),
        Item::Reasoning(reasoning) => fill(&mut reasoning.id, run, "rs_in", number),
        Item::ToolCall(call) => fill(&mut call.id, run, "fc_in", number),
        Item::ToolOutput(output) => fill(&mut output.id, run, "fco_in", number),
        Item::Opaque { .. } => {}
    }
    item
}

fn fill(id: &mut String, run: RunId, prefix: &str, number: u32) {
    if id.is_empty() {
        *id = run.item(prefix, number);
    }
}
