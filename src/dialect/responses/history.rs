//! The conversation that a request goes on with: what is stored of it, what is new, and whether calls and results pair up.

use crate::core::event::Outcome;
use crate::core::item::{Item, Message, Role, Status};
use crate::core::ports::store::Link;
use crate::dialect::error::{ApiError, excerpt};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What was said before a request, as the chain of links tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Nothing was: the conversation begins with the request.
    pub is_new: bool,
    items: Vec<Arc<Item>>,
    /// Calls that wait for a client's output.
    awaited: HashSet<String>,
    /// What the first response was told.
    opening: Option<String>,
    /// What the last response was told that was told anything.
    pub instructions: Option<String>,
}

impl History {
    /// `removed` has the ids of items that were taken out. A call goes with its output, and the output with its call.
    pub fn of(chain: &[Link], removed: &BTreeSet<String>) -> Self {
        let is_removed = |item: &Item| removed.contains(item.id());
        let all = || chain.iter().flat_map(Link::items);
        let removed_calls: HashSet<_> =
            all().filter(|item| is_removed(item)).filter_map(|item| call_id(item)).collect();
        let is_left = |item: &Item| {
            !is_removed(item) && !is_cut_call(item) && !call_id(item).is_some_and(|call| removed_calls.contains(call))
        };
        let last = chain.last().filter(|link| awaits_outputs(link));
        let awaited = last.into_iter().flat_map(Link::items).filter_map(|item| match item.as_ref() {
            Item::ToolCall(call) => Some(call.call_id.clone()),
            _ => None,
        });
        Self {
            is_new: chain.is_empty(),
            items: all().filter(|item| is_left(item)).cloned().collect(),
            awaited: awaited.collect(),
            opening: chain.first().and_then(Link::instructions).map(str::to_owned),
            instructions: chain.iter().rev().find_map(Link::instructions).map(str::to_owned),
        }
    }

    /// Its items as they go before these. Calls and outputs that were left without the other are not among them: a run
    /// that was ended had no time for its client's calls, and a response that was deleted may have had the rest of a pair.
    pub fn before(&self, input: &[Arc<Item>]) -> Vec<Arc<Item>> {
        let outputs = self.items.iter().chain(input).filter_map(|item| match item.as_ref() {
            Item::ToolOutput(output) => Some(output.call_id.as_str()),
            _ => None,
        });
        let answered: HashSet<&str> = outputs.collect();
        let mut called = HashSet::new();
        let mut pairs = |item: &Item| match item {
            Item::ToolCall(call) => {
                let pairs = answered.contains(call.call_id.as_str()) || self.awaited.contains(&call.call_id);
                pairs && called.insert(call.call_id.clone())
            }
            Item::ToolOutput(output) => called.contains(&output.call_id),
            _ => true,
        };
        self.items.iter().filter(|item| pairs(item)).cloned().collect()
    }

    /// The conversation as it began, by which its session is known: later instructions may differ.
    pub fn opening(&self, input: &[Arc<Item>]) -> Vec<Arc<Item>> {
        let said = self.before(input).into_iter().chain(input.iter().cloned());
        system(self.opening.as_deref()).into_iter().chain(said).collect()
    }

    /// Checks items that are put into the conversation without asking for an answer: their last calls may be answered
    /// later.
    pub fn check_added(&self, items: &[Arc<Item>]) -> Result<(), ApiError> {
        pairs(&self.before(items), items, "items").map(drop)
    }
}

/// The client is to answer the calls of this link.
fn awaits_outputs(link: &Link) -> bool {
    match link {
        Link::Response(response) => response.journal.outcome() == Some(&Outcome::ClientTools),
        Link::Items(_) => true,
        Link::Gone { .. } => false,
    }
}

fn call_id(item: &Item) -> Option<&str> {
    match item {
        Item::ToolCall(call) => Some(&call.call_id),
        Item::ToolOutput(output) => Some(&output.call_id),
        _ => None,
    }
}

/// A call that was cut off before it had a result: no model takes a history with it.
fn is_cut_call(item: &Item) -> bool {
    matches!(item, Item::ToolCall(call) if call.status != Status::Completed)
}

/// System text as the first item.
pub(super) fn system(instructions: Option<&str>) -> Option<Arc<Item>> {
    instructions.map(|text| Arc::new(Item::Message(Message::of(Role::System, text))))
}

/// Models refuse a history in which calls and results do not pair up, and so do we, by name. What the assistant says
/// may stand between the two.
pub(super) fn check_pairs(history: &[Arc<Item>], input: &[Arc<Item>]) -> Result<(), ApiError> {
    expect_none(&pairs(history, input, "input")?, "input")
}

/// The calls that have no output at the end.
fn pairs<'a>(history: &'a [Arc<Item>], new: &'a [Arc<Item>], param: &str) -> Result<HashSet<&'a str>, ApiError> {
    let (mut waiting, mut seen) = (HashSet::new(), HashSet::new());
    for item in history.iter().chain(new) {
        match item.as_ref() {
            Item::ToolCall(call) if !seen.insert(call.call_id.as_str()) => {
                let message = format!("`{param}` repeats the `call_id` of another call: `{}`.", excerpt(&call.call_id));
                return Err(ApiError::invalid(param, message));
            }
            Item::ToolCall(call) => drop(waiting.insert(call.call_id.as_str())),
            Item::ToolOutput(output) if !waiting.remove(output.call_id.as_str()) => {
                let problem = match seen.contains(output.call_id.as_str()) {
                    true => "There are two outputs for the call",
                    false => "No tool call found for the output with `call_id`",
                };
                return Err(ApiError::invalid(param, format!("{problem} `{}`.", excerpt(&output.call_id))));
            }
            Item::Message(message) if message.role != Role::Assistant => expect_none(&waiting, param)?,
            _ => {}
        }
    }
    Ok(waiting)
}

fn expect_none(waiting: &HashSet<&str>, param: &str) -> Result<(), ApiError> {
    let Some(first) = waiting.iter().min() else { return Ok(()) };
    let message = format!(
        "No tool output found for the call `{}`: send a `function_call_output` for each call before anything new is said.",
        excerpt(first)
    );
    Err(ApiError::invalid(param, message))
}
