//! What an item takes in memory: the bytes of its texts, near enough.

use super::{Item, Part};
use crate::core::logprob::Logprob;
use serde_json::{Map, Value};

/// What an item counts beside its texts: its ids, its place in an index, and what holds it together.
const ITEM: usize = 256;

impl Item {
    pub fn weight(&self) -> usize {
        let texts = match self {
            Self::Message(message) => parts(&message.content).saturating_add(map(&message.extra)),
            Self::Reasoning(reasoning) => {
                let blocks = reasoning.sealed.iter().flat_map(|sealed| &sealed.blocks);
                blocks.map(map).fold(reasoning.text.len(), usize::saturating_add)
            }
            Self::ToolCall(call) => call.arguments.len().saturating_add(map(&call.extra)),
            Self::ToolOutput(output) => parts(&output.content).saturating_add(map(&output.extra)),
            Self::Compaction(compaction) => {
                let kept = compaction.kept().map(|message| parts(&message.content));
                kept.fold(compaction.summary.len(), usize::saturating_add)
            }
            Self::Opaque { value } => value.to_string().len(),
        };
        texts.saturating_add(ITEM)
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

fn map(map: &Map<String, Value>) -> usize {
    map.iter().map(|(key, value)| key.len().saturating_add(value.to_string().len())).fold(0, usize::saturating_add)
}
