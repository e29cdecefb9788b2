//! How many tokens a model call has, by estimate: no model's vocabulary is known here, and each has its own.

mod text;

use super::item::{Item, Part};
use super::ports::tool::ToolSpec;
use serde_json::Value;
use std::sync::Arc;

/// An image of usual size, or anything else that is no text. Models count from 85 to a few thousands.
const IMAGE: u64 = 1000;

/// An image in which no detail is asked for.
const SMALL_IMAGE: u64 = 85;

/// What a message or an output has around its text, and a call or a tool around its name and arguments.
const FRAME: u64 = 4;
const CALL_FRAME: u64 = 8;

/// The items of one turn. Reasoning goes back to the model within the current turn alone, and costs nothing elsewhere.
pub fn of_turn(items: &[Arc<Item>], is_current: bool) -> u64 {
    let goes_back = |item: &&Arc<Item>| is_current || !matches!(item.as_ref(), Item::Reasoning(_));
    items.iter().filter(goes_back).map(|item| of_item(item)).fold(0, u64::saturating_add)
}

/// System text and the tools that are offered.
pub fn of_offer(instructions: Option<&str>, tools: &[ToolSpec]) -> u64 {
    let instructions = instructions.map_or(0, |instructions| text::tokens(instructions).saturating_add(FRAME));
    tools.iter().map(of_tool).fold(instructions, u64::saturating_add)
}

pub fn of_item(item: &Item) -> u64 {
    match item {
        Item::Message(message) => of_parts(&message.content).saturating_add(FRAME),
        Item::Reasoning(reasoning) => text::tokens(&reasoning.text),
        Item::ToolCall(call) => {
            text::tokens(&call.name).saturating_add(text::tokens(&call.arguments)).saturating_add(CALL_FRAME)
        }
        Item::ToolOutput(output) => of_parts(&output.content).saturating_add(FRAME),
        Item::Compaction(compaction) => {
            let kept = compaction.kept().map(|message| of_parts(&message.content).saturating_add(FRAME));
            kept.fold(text::tokens(&compaction.summary).saturating_add(FRAME), u64::saturating_add)
        }
        Item::Opaque { value } => text::tokens(&value.to_string()),
    }
}

fn of_parts(parts: &[Part]) -> u64 {
    parts.iter().map(of_part).fold(0, u64::saturating_add)
}

fn of_part(part: &Part) -> u64 {
    match part {
        Part::Image { detail: Some(detail), .. } if detail == "low" => SMALL_IMAGE,
        part => part.as_text().map_or(IMAGE, text::tokens),
    }
}

fn of_tool(tool: &ToolSpec) -> u64 {
    let description = tool.description.as_deref().map_or(0, text::tokens);
    let parameters = tool.parameters.as_ref().map_or(0, |parameters: &Value| text::tokens(&parameters.to_string()));
    [CALL_FRAME, text::tokens(&tool.name), description, parameters].into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::item::{Message, Reasoning, Role, Status};

    /// Counted with the o200k vocabulary, outside of this project.
    #[test]
    fn texts_of_all_kinds_come_near_a_real_count() {
        let samples = [
            (include_str!("estimate/samples/en.txt"), 132_u64),
            (include_str!("estimate/samples/de.txt"), 185),
            (include_str!("estimate/samples/zh.txt"), 164),
            (include_str!("estimate/samples/ja.txt"), 221),
            (include_str!("estimate/samples/code.txt"), 181),
            (include_str!("estimate/samples/json.txt"), 323),
        ];
        for (sample, real) in samples {
            let estimate = text::tokens(sample);
            assert!(estimate.abs_diff(real) * 100 <= real * 15, "{estimate} for {real}: {sample:.40}");
        }
    }

    #[test]
    fn what_is_no_text_has_a_fixed_price_and_old_reasoning_none() {
        let image = |detail: Option<&str>| Part::Image { url: "data:x".repeat(999), detail: detail.map(str::to_owned) };
        let content = vec![image(None), image(Some("low")), Part::text("two words")];
        let asked = Item::Message(Message { content, ..Message::of(Role::User, "") });
        let (id, status, text) = (String::new(), Status::Completed, "a long thought".to_owned());
        let turn = [asked, Item::Reasoning(Reasoning { id, status, text })].map(Arc::new);
        let question = IMAGE + SMALL_IMAGE + 2 + FRAME;
        assert_eq!([false, true].map(|is_current| of_turn(&turn, is_current)), [question, question + 3]);
    }
}
