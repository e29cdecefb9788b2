//! What clients call the items of a link, and what stands behind each name.

use crate::core::item::{Item, Origin, Status};
use crate::core::ports::store::{ItemKey, Link};
use std::collections::HashSet;
use std::sync::Arc;

/// What a key stands for in this link, which holds it.
pub fn items_of(link: &Link, key: &ItemKey) -> Vec<Arc<Item>> {
    match key {
        ItemKey::Id(id) => link.items().filter(|item| item.id() == id).take(1).cloned().collect(),
        ItemKey::Call(call_id) => whole_call(link.items().filter(|item| is_of_call(item, call_id)).cloned().collect()),
    }
}

/// The keys of a link's items, each once.
pub fn keys_of(link: &Link) -> HashSet<ItemKey> {
    keys_among(link.items())
}

/// The keys of these items, each once.
pub fn keys_among<'a>(items: impl Iterator<Item = &'a Arc<Item>> + Clone) -> HashSet<ItemKey> {
    let ids = items.clone().map(|item| item.id()).filter(|id| !id.is_empty()).map(|id| ItemKey::Id(id.to_owned()));
    let calls = items.filter_map(|item| match item.as_ref() {
        Item::ToolCall(call) if call.origin == Origin::Server => Some(ItemKey::Call(call.call_id.clone())),
        _ => None,
    });
    ids.chain(calls).collect()
}

fn is_of_call(item: &Item, call_id: &str) -> bool {
    match item {
        Item::ToolCall(call) => call.call_id == call_id && call.status == Status::Completed,
        Item::ToolOutput(output) => output.call_id == call_id,
        _ => false,
    }
}

/// Nothing, if the call or its output is missing.
fn whole_call(items: Vec<Arc<Item>>) -> Vec<Arc<Item>> {
    match items.as_slice() {
        [call, output] if matches!((call.as_ref(), output.as_ref()), (Item::ToolCall(_), Item::ToolOutput(_))) => items,
        _ => Vec::new(),
    }
}
