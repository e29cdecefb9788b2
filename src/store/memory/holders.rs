//! Where the items of a principal's links are, by what clients call them.

use crate::core::item::{Item, Origin, Status};
use crate::core::ports::store::{ItemKey, Link};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Ids of the links that hold an item, the newest last: clients send items again, with their ids.
#[derive(Default)]
pub struct Holders(HashMap<ItemKey, Vec<String>>);

impl Holders {
    pub fn add(&mut self, link: &Link) {
        for key in keys_of(link) {
            self.0.entry(key).or_default().push(link.id().to_owned());
        }
    }

    pub fn forget(&mut self, link: &Link) {
        for key in keys_of(link) {
            let Some(holders) = self.0.get_mut(&key) else { continue };
            holders.retain(|holder| holder != link.id());
            if holders.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    pub fn newest(&self, key: &ItemKey) -> Option<&str> {
        self.0.get(key)?.last().map(String::as_str)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a key stands for in this link, which holds it.
pub fn items_of(link: &Link, key: &ItemKey) -> Vec<Arc<Item>> {
    match key {
        ItemKey::Id(id) => link.items().filter(|item| item.id() == id).take(1).cloned().collect(),
        ItemKey::Call(call_id) => whole_call(link.items().filter(|item| is_of_call(item, call_id)).cloned().collect()),
    }
}

/// The keys of a link's items, each once.
pub fn keys_of(link: &Link) -> HashSet<ItemKey> {
    let ids = link.items().map(|item| item.id()).filter(|id| !id.is_empty()).map(|id| ItemKey::Id(id.to_owned()));
    let calls = link.items().filter_map(|item| match item.as_ref() {
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
