//! Ids for the items that a client sends: each can be listed, and those of a conversation taken out of it.

use crate::core::id::RunId;
use crate::core::item::Item;
use std::sync::Arc;

/// Gives an id to each item that came without one. No item of the run's output has it.
pub(super) fn fill(run: RunId, items: Vec<Arc<Item>>) -> Arc<[Arc<Item>]> {
    each(items, |id, prefix, number| {
        if id.is_empty() {
            *id = run.item(prefix, number);
        }
    })
}

/// Gives every item an id of its own: in a conversation the one that it came with may be another item's.
pub fn renew(run: RunId, items: Vec<Arc<Item>>) -> Arc<[Arc<Item>]> {
    each(items, |id, prefix, number| *id = run.item(prefix, number))
}

fn each(items: Vec<Arc<Item>>, set: impl Fn(&mut String, &str, u32)) -> Arc<[Arc<Item>]> {
    let numbered = items.into_iter().zip(0..);
    let with_id = numbered.map(|(mut item, number)| {
        match Arc::make_mut(&mut item) {
            Item::Message(message) => set(&mut message.id, "msg_in", number),
            Item::Reasoning(reasoning) => set(&mut reasoning.id, "rs_in", number),
            Item::ToolCall(call) => set(&mut call.id, "fc_in", number),
            Item::ToolOutput(output) => set(&mut output.id, "fco_in", number),
            // What a client sends of these has its id within.
            Item::Compaction(_) | Item::Opaque { .. } => {}
        }
        item
    });
    with_id.collect()
}
