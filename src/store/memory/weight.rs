//! What stored items weigh: the bytes of their texts, near enough.

use crate::core::item::{Item, Part};
use crate::core::logprob::Logprob;
use crate::core::sealed::Block;
use std::sync::Arc;

/// What an item counts beside its texts: its ids, its place in an index, and what holds it together.
const ITEM: usize = 256;

pub(super) fn weight_of(items: &[Arc<Item>]) -> usize {
    items.iter().map(|item| item_weight(item).saturating_add(ITEM)).fold(0, usize::saturating_add)
}

fn item_weight(item: &Item) -> usize {
    match item {
        Item::Message(message) => parts(&message.content).saturating_add(map(&message.extra)),
        Item::Reasoning(reasoning) => {
            let blocks = reasoning.sealed.iter().flat_map(|sealed| &sealed.blocks);
            reasoning.text.len().saturating_add(blocks.map(map).fold(0, usize::saturating_add))
        }
        Item::ToolCall(call) => call.arguments.len().saturating_add(map(&call.extra)),
        Item::ToolOutput(output) => parts(&output.content).saturating_add(map(&output.extra)),
        Item::Opaque { value } => value.to_string().len(),
    }
}

fn parts(parts: &[Part]) -> usize {
    let weight = |part: &Part| match part {
        Part::Text { text, logprobs } => logprobs.iter().map(Logprob::weight).fold(text.len(), usize::saturating_add),
        Part::Refusal { refusal } => refusal.len(),
        Part::Image { url, .. } => url.len(),
        Part::File { data, .. } => data.len(),
        Part::Opaque { value } => value.to_string().len(),
    };
    parts.iter().map(weight).fold(0, usize::saturating_add)
}

fn map(map: &Block) -> usize {
    map.iter().map(|(key, value)| key.len().saturating_add(value.to_string().len())).fold(0, usize::saturating_add)
}
