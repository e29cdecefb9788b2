//! Calls that frontends make on the side: titles, tags, follow-up questions. No field marks them, only their words.

use super::item::{Item, Message, Role, text_of};
use super::ports::upstream::ToolChoice;
use super::run::RunSpec;

/// Whether a request is such a call. `streamed` is whether its answer is.
///
/// Measured: Open WebUI's prompts are a lone message that begins with `### Task:` and are not streamed, opencode's title
/// call says in its system text what it is. A request that brings tools, or a person's that is streamed, is neither.
pub fn is_housekeeping(spec: &RunSpec, streamed: bool) -> bool {
    if spec.tools.as_ref().is_some_and(|tools| !tools.is_empty()) || spec.tool_choice != ToolChoice::Auto {
        return false;
    }
    let mut questions = Vec::new();
    for item in &spec.input {
        match item.as_ref() {
            Item::Message(message) if matches!(message.role, Role::System | Role::Developer) => {
                if begins(message, "You are a title generator") {
                    return true;
                }
            }
            Item::Message(message) if message.role == Role::User => questions.push(message),
            // Somebody has answered before, so this is a conversation.
            _ => return false,
        }
    }
    matches!(questions.as_slice(), [task] if !streamed && begins(task, "### Task:"))
}

fn begins(message: &Message, words: &str) -> bool {
    text_of(&message.content).starts_with(words)
}
