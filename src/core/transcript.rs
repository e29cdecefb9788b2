//! What can be read off a conversation: its opening, and the turns of it that the client saw only in part.

use super::item::{Item, Message, Origin, Part, Role, ToolCall, text_of};
use super::ports::store::Turn;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// The first exchange of a conversation: enough to know the conversation again when a client without a session key
/// comes back with its history. Without our own answer in it, two users who both say "hi" would share a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub system: String,
    pub question: String,
    /// What was said and called up to the second question, in a form that clients do not change: no white space, and
    /// the calls' ids in the order of the alphabet. `None` while the first turn has no answer.
    pub answer: Option<String>,
}

impl Opening {
    pub fn of(items: &[Arc<Item>]) -> Self {
        let (before, first, turn) = Self::split(items);
        let system = messages(before).filter(|message| matches!(message.role, Role::System | Role::Developer));
        let system = system.map(|message| text_of(&message.content)).collect::<Vec<_>>().join("\n");
        let question = messages(first).map(|message| text_of(&message.content).trim().to_owned()).collect();
        Self { system, question, answer: (!turn.is_empty()).then(|| answer_of(turn, |_| true)) }
    }

    /// The openings under which a conversation may come back: most clients know the calls they have run alone, some
    /// also those that they were shown as cards.
    pub fn as_returned(items: &[Arc<Item>]) -> [Self; 2] {
        let whole = Self::of(items);
        let (_, _, turn) = Self::split(items);
        let answer = whole.answer.as_ref().map(|_| answer_of(turn, |call| call.origin == Origin::Client));
        [Self { answer, ..whole.clone() }, whole]
    }

    /// What comes before the first question, the question, and the turn that answers it.
    fn split(items: &[Arc<Item>]) -> (&[Arc<Item>], &[Arc<Item>], &[Arc<Item>]) {
        let is_question = |item: &Arc<Item>| is_message(item, Role::User);
        let first = items.iter().position(is_question).unwrap_or(items.len());
        let (before, rest) = items.split_at(first);
        let (question, rest) = rest.split_at(rest.len().min(1));
        let end = rest.iter().position(is_question).unwrap_or(rest.len());
        (before, question, rest.get(..end).unwrap_or_default())
    }
}

/// A turn in a form that can be compared with what a client makes of it.
fn answer_of(turn: &[Arc<Item>], counts: impl Fn(&ToolCall) -> bool) -> String {
    let mut answer: String = chat_text(turn).split_whitespace().collect();
    let mut ids: Vec<&str> = calls(turn).filter(|call| counts(call)).map(|call| call.call_id.as_str()).collect();
    ids.sort_unstable();
    for id in ids {
        answer.push('\n');
        answer.push_str(id);
    }
    answer
}

/// All that the assistant says in these items, in order, as one text.
pub fn chat_text(items: &[Arc<Item>]) -> String {
    let (mut text, mut join) = (String::new(), TextJoin::default());
    for message in messages(items).filter(|message| message.role == Role::Assistant) {
        join.begin_item();
        for part in message.content.iter().filter_map(Part::as_text) {
            text.push_str(join.before(part));
            text.push_str(part);
        }
    }
    text
}

/// How the texts of several items become one: a blank line between them, unless there is white space already. What a
/// model says before and after a tool call are sentences of their own, and it writes no space for the call.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextJoin {
    said_something: bool,
    ends_in_space: bool,
    at_item_start: bool,
}

impl TextJoin {
    pub fn begin_item(&mut self) {
        self.at_item_start = true;
    }

    /// What goes before this piece of the open item's text.
    pub fn before(&mut self, piece: &str) -> &'static str {
        let Some(last) = piece.chars().next_back() else { return "" };
        let starts_in_space = piece.starts_with(char::is_whitespace);
        let apart = self.at_item_start && self.said_something && !self.ends_in_space && !starts_in_space;
        *self = Self { said_something: true, ends_in_space: last.is_whitespace(), at_item_start: false };
        if apart { "\n\n" } else { "" }
    }
}

fn messages(items: &[Arc<Item>]) -> impl Iterator<Item = &Message> {
    items.iter().filter_map(|item| match item.as_ref() {
        Item::Message(message) => Some(message),
        _ => None,
    })
}

fn calls(items: &[Arc<Item>]) -> impl Iterator<Item = &ToolCall> {
    items.iter().filter_map(|item| match item.as_ref() {
        Item::ToolCall(call) => Some(call),
        _ => None,
    })
}

fn client_calls(items: &[Arc<Item>]) -> impl Iterator<Item = &str> {
    calls(items).filter(|call| call.origin == Origin::Client).map(|call| call.call_id.as_str())
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
/// turn for its first client call. History in the request wins, so a turn stays as sent if the client changed its text,
/// or if it did send the server's calls because it had been shown them as cards.
pub fn restore_turns(items: Vec<Arc<Item>>, known: impl Fn(&str) -> Option<Turn>) -> Vec<Arc<Item>> {
    let sent_ids: HashSet<&str> = calls(&items).map(|call| call.call_id.as_str()).collect();
    let of_client = |call: &ToolCall| call.origin == Origin::Client;
    let mut restored = Vec::with_capacity(items.len());
    let mut next = 0;
    for range in turns(&items) {
        let sent = items.get(range.clone()).unwrap_or_default();
        let whole = first_call(&items, range.clone()).and_then(|call| known(&call)).filter(|whole| {
            let was_shown = calls(whole).any(|call| !of_client(call) && sent_ids.contains(call.call_id.as_str()));
            !was_shown && answer_of(whole, of_client) == answer_of(sent, of_client)
        });
        restored.extend(items.get(next..range.start).unwrap_or_default().iter().cloned());
        match whole {
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

#[cfg(test)]
mod tests;
