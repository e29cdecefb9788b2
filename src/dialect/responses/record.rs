//! What is stored of a response: the same fold as the stream, and the items as the core knows them.

use super::fold::{Fold, Head};
use crate::core::event::RunEvent;
use crate::core::id::RunId;
use crate::core::item::Item;
use crate::core::ports::store::StoredResponse;
use serde_json::Value;
use std::sync::Arc;

pub struct Record {
    fold: Fold,
    id: String,
    previous: Option<String>,
    instructions: Option<String>,
    input: Vec<Arc<Item>>,
}

impl Record {
    /// `input` is what the request brought, without the history.
    pub fn new(run: RunId, head: Head, input: Vec<Arc<Item>>) -> Self {
        let (id, settings) = (head.id.clone(), Arc::clone(&head.settings));
        Self {
            fold: Fold::new(head),
            id,
            previous: settings.previous_response_id.clone(),
            instructions: settings.instructions.clone(),
            input: input.into_iter().zip(0..).map(|(item, number)| with_id(run, item, number)).collect(),
        }
    }

    pub fn on(&mut self, event: &RunEvent) {
        self.fold.on(event);
    }

    /// What there is to store once the run is over. `output` is all that the run has made.
    pub fn stored(&self, output: &[Arc<Item>]) -> StoredResponse {
        StoredResponse {
            id: self.id.clone(),
            previous: self.previous.clone(),
            instructions: self.instructions.clone(),
            input: self.input.as_slice().into(),
            output: output.into(),
            resource: serde_json::to_string(&self.fold.resource()).unwrap_or_default(),
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
        Item::Opaque { value: Value::Object(value) } => {
            if value.get("id").and_then(Value::as_str).is_none_or(str::is_empty) {
                value.insert("id".to_owned(), run.item("item_in", number).into());
            }
        }
        Item::Opaque { .. } => {}
    }
    item
}

fn fill(id: &mut String, run: RunId, prefix: &str, number: u32) {
    if id.is_empty() {
        *id = run.item(prefix, number);
    }
}
