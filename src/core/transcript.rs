//! What can be read off a conversation: its opening, and the turns of it that the client saw only in part.

use super::item::{Item, Message, Origin, Part, Role, text_of};
use super::ports::store::Turn;
use std::ops::Range;
use std::sync::Arc;

/// The first exchange of a conversation: enough to know the conversation again when a client without a session key
/// comes back with its history. Without our own answer in it, two users who both say "hi" would share a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub system: String,
    pub question: String,
    /// `None` while the first turn has not been answered.
    pub answer: Option<String>,
}

impl Opening {
    pub fn of(items: &[Arc<Item>]) -> Self {
        let system = messages(items).filter(|message| matches!(message.role, Role::System | Role::Developer));
        let system = system.map(|message| text_of(&message.content)).collect::<Vec<_>>().join("\n");
        let first = items.iter().position(|item| is_message(item, Role::User));
        let question = first.and_then(|at| items.get(at)).map_or_else(String::new, |item| match item.as_ref() {
            Item::Message(message) => text_of(&message.content).trim().to_owned(),
            _ => String::new(),
        });
        let rest = first.and_then(|at| items.get(at.saturating_add(1)..)).unwrap_or_default();
        let end = rest.iter().position(|item| !is_assistants(item)).unwrap_or(rest.len());
        let answer = rest.get(..end).filter(|turn| !turn.is_empty()).map(answer_of);
        Self { system, question, answer }
    }

    pub fn answered_with(self, output: &[Arc<Item>]) -> Self {
        Self { answer: Some(answer_of(output)), ..self }
    }
}

/// A turn as a chat client sees it: the text joined, and the calls it was asked to run.
fn answer_of(turn: &[Arc<Item>]) -> String {
    let mut answer = chat_text(turn).trim().to_owned();
    for call in client_calls(turn) {
        answer.push('\n');
        answer.push_str(call);
    }
    answer
}

/// All that the assistant says in these items, in order.
pub fn chat_text(items: &[Arc<Item>]) -> String {
    let said = messages(items).filter(|message| message.role == Role::Assistant);
    said.flat_map(|message| &message.content).filter_map(Part::as_text).collect()
}

fn messages(items: &[Arc<Item>]) -> impl Iterator<Item = &Message> {
    items.iter().filter_map(|item| match item.as_ref() {
        Item::Message(message) => Some(message),
        _ => None,
    })
}

fn client_calls(items: &[Arc<Item>]) -> impl Iterator<Item = &str> {
    items.iter().filter_map(|item| match item.as_ref() {
        Item::ToolCall(call) if call.origin == Origin::Client => Some(call.call_id.as_str()),
        _ => None,
    })
}

fn is_message(item: &Item, role: Role) -> bool {
    matches!(item, Item::Message(message) if message.role == role)
}

/// Part of an assistant's turn as a chat client sends it back.
fn is_assistants(item: &Item) -> bool {
    is_message(item, Role::Assistant) || matches!(item, Item::ToolCall(_) | Item::Reasoning(_))
}

/// The ids by which the turns that ended with client calls can be asked for: the first call of each.
pub fn turn_keys(items: &[Arc<Item>]) -> Vec<String> {
    turns(items).into_iter().filter_map(|range| first_call(items, range)).collect()
}

/// Puts back what a turn did on the server, which a chat client never saw and so cannot send: `known` gives the whole
/// turn for its first client call. History in the request wins, so a turn whose text the client changed stays as sent.
pub fn restore_turns(items: Vec<Arc<Item>>, known: impl Fn(&str) -> Option<Turn>) -> Vec<Arc<Item>> {
    let mut restored = Vec::with_capacity(items.len());
    let mut next = 0;
    for range in turns(&items) {
        let sent = items.get(range.clone()).unwrap_or_default();
        let whole = first_call(&items, range.clone()).and_then(|call| known(&call));
        restored.extend(items.get(next..range.start).unwrap_or_default().iter().cloned());
        match whole.filter(|whole| answer_of(whole) == answer_of(sent)) {
            Some(whole) => restored.extend(whole.iter().cloned()),
            None => restored.extend(sent.iter().cloned()),
        }
        next = range.end;
    }
    restored.extend(items.get(next..).unwrap_or_default().iter().cloned());
    restored
}

fn first_call(items: &[Arc<Item>], turn: Range<usize>) -> Option<String> {
    client_calls(items.get(turn)?).next().map(str::to_owned)
}

/// The stretches of assistant items that hold a client's call.
fn turns(items: &[Arc<Item>]) -> Vec<Range<usize>> {
    let mut turns = Vec::new();
    let mut start = 0;
    for (at, item) in items.iter().enumerate().map(|(at, item)| (at, Some(item))).chain([(items.len(), None)]) {
        if item.is_none_or(|item| !is_assistants(item)) {
            let turn = start..at;
            if client_calls(items.get(turn.clone()).unwrap_or_default()).next().is_some() {
                turns.push(turn);
            }
            start = at.saturating_add(1);
        }
    }
    turns
}
