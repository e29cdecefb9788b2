//! Calls that frontends make on the side: titles, tags, follow-up questions. No field marks them, only their words.

use super::item::{Item, Message, Role, text_of};
use std::sync::Arc;

/// Whether these items are such a call (measured: Open WebUI's `### Task:` prompts, opencode's title generator).
pub fn is_housekeeping(items: &[Arc<Item>]) -> bool {
    let mut messages = items.iter().map(AsRef::as_ref);
    let is_title_prompt = |message: &Message| text_of(&message.content).starts_with("You are a title generator");
    let mut asked = Vec::new();
    for item in messages.by_ref() {
        match item {
            Item::Message(message) if matches!(message.role, Role::System | Role::Developer) => {
                if is_title_prompt(message) {
                    return true;
                }
            }
            Item::Message(message) if message.role == Role::User => asked.push(message),
            // Somebody has answered before, so this is a conversation.
            _ => return false,
        }
    }
    matches!(asked.as_slice(), [task] if text_of(&task.content).starts_with("### Task:"))
}
