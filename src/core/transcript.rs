//! What can be read off a conversation: its opening, and the turns of it that the client saw only in part.

use super::item::{Item, Message, Origin, Part, Role, ToolCall, text_of};
use super::ports::store::Turn;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Hands `out` what two sendings of the same conversation have in common, up to its last answer, piece by piece; false
/// if nothing has been answered yet. Clients change white space and leave out tool outputs, so neither counts, and
/// `counts` says which calls do: most clients know the calls they have run alone, some also those shown as cards.
///
/// The whole conversation counts, not only how it began: many people begin in the same words and get the same answer. A
/// compaction counts for all that it stands for, which a client need not send any more, and there are no two of one id.
pub fn trace(items: &[Arc<Item>], counts: impl Fn(&ToolCall) -> bool, mut out: impl FnMut(&str)) -> bool {
    let is_answer = |item: &Arc<Item>| match item.as_ref() {
        Item::Message(message) => message.role == Role::Assistant && !text_of(&message.content).trim().is_empty(),
        Item::ToolCall(call) => counts(call),
        Item::Compaction(_) => true,
        _ => false,
    };
    let compacted = items.iter().rposition(|item| matches!(item.as_ref(), Item::Compaction(_)));
    let items = items.get(compacted.unwrap_or(0)..).unwrap_or_default();
    let Some(last) = items.iter().rposition(is_answer) else { return false };
    let mut speaker = None;
    for item in items.iter().take(last.saturating_add(1)) {
        match item.as_ref() {
            Item::Message(message) => {
                // One answer may come back in several messages, so only a change of speaker is told.
                if speaker.replace(message.role) != Some(message.role) || message.role != Role::Assistant {
                    out(role_mark(message.role));
                }
                words(&text_of(&message.content)).for_each(&mut out);
            }
            Item::ToolCall(call) if counts(call) => {
                out("\ncall ");
                out(&call.call_id);
            }
            Item::Compaction(compaction) => {
                out("\ncompaction ");
                out(&compaction.id);
            }
            _ => {}
        }
    }
    true
}

/// What white space leaves of a text. Whole conversations are read, so plain text goes the short way, which does not know
/// the vertical tab.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_plain = text.is_ascii() && !text.contains('\u{b}');
    let (plain, other) = if is_plain { (text, "") } else { ("", text) };
    plain.split_ascii_whitespace().chain(other.split_whitespace())
}

fn role_mark(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "\nsystem ",
        Role::User => "\nuser ",
        Role::Assistant => "\nassistant ",
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
