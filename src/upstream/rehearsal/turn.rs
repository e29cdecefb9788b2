//! Where the conversation stands: the question, and what has been done about it.

use crate::core::item::{Item, Message, Part, Role, ToolOutput, text_of};
use crate::core::run::demand::REPAIR;
use std::sync::Arc;

/// The turn that the last user message opened.
pub struct Turn<'a> {
    /// The text of that message, one part a line.
    pub question: String,
    /// How many times tools have answered since.
    pub steps: usize,
    /// What they said, each under its tool's name.
    pub outputs: Vec<(&'a str, &'a ToolOutput)>,
    /// A better answer than the last one is asked for.
    pub mends: bool,
}

impl<'a> Turn<'a> {
    pub fn of(items: &'a [Arc<Item>]) -> Self {
        let asked = items.iter().rposition(|item| question(item).is_some_and(|message| !is_repair(message)));
        let message = asked.and_then(|at| question(items.get(at)?));
        let since = asked.and_then(|at| items.get(at + 1..)).unwrap_or(items);
        let name = |call_id: &str| {
            let name = since.iter().find_map(|item| match item.as_ref() {
                Item::ToolCall(call) if call.call_id == call_id => Some(call.name.as_str()),
                _ => None,
            });
            name.unwrap_or("a tool")
        };
        let mends = since.iter().filter_map(question).any(is_repair);
        let mut turn = Self { question: message.map(text).unwrap_or_default(), steps: 0, outputs: Vec::new(), mends };
        let mut after_output = false;
        for item in since {
            let output = match item.as_ref() {
                Item::ToolOutput(output) => Some(output),
                _ => None,
            };
            turn.steps += usize::from(output.is_some() && !after_output);
            turn.outputs.extend(output.map(|output| (name(&output.call_id), output)));
            after_output = output.is_some();
        }
        turn
    }
}

fn question(item: &Arc<Item>) -> Option<&Message> {
    match item.as_ref() {
        Item::Message(message) if message.role == Role::User => Some(message),
        _ => None,
    }
}

fn is_repair(message: &Message) -> bool {
    text_of(&message.content).starts_with(REPAIR)
}

fn text(message: &Message) -> String {
    message.content.iter().filter_map(Part::as_text).collect::<Vec<_>>().join("\n")
}
