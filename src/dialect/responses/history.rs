//! The conversation that a request goes on with: what is stored of it, what is new, and whether calls and results pair up.

use super::hosted::{Side, side};
use crate::core::item::{Item, Message, Role, Status};
use crate::core::ports::store::StoredResponse;
use crate::dialect::error::{ApiError, excerpt};
use std::collections::HashSet;
use std::sync::Arc;

/// The items of a chain of responses, in order. Calls that were cut off before they had a result are left out: no model
/// takes a history with them.
pub(super) fn of_chain(chain: &[Arc<StoredResponse>]) -> Vec<Arc<Item>> {
    let items = chain.iter().flat_map(|response| response.input.iter().chain(response.output.iter()));
    items.filter(|item| !is_cut_call(item)).cloned().collect()
}

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
    let (mut waiting, mut seen) = (HashSet::new(), HashSet::new());
    for item in history.iter().chain(input) {
        match side(item) {
            Some(Side::Call(id)) if !seen.insert(id) => {
                return Err(invalid(format!("`input` repeats the `call_id` of another call: `{}`.", excerpt(id))));
            }
            Some(Side::Call(id)) => drop(waiting.insert(id)),
            Some(Side::Output(id)) if !waiting.remove(id) => {
                let problem = match seen.contains(id) {
                    true => "There are two outputs for the call",
                    false => "No tool call found for the output with `call_id`",
                };
                return Err(invalid(format!("{problem} `{}`.", excerpt(id))));
            }
            Some(Side::Output(_)) => {}
            None if is_said_by_others(item) => expect_none(&waiting)?,
            None => {}
        }
    }
    expect_none(&waiting)
}

fn is_said_by_others(item: &Item) -> bool {
    matches!(item, Item::Message(message) if message.role != Role::Assistant)
}

fn expect_none(waiting: &HashSet<&str>) -> Result<(), ApiError> {
    let Some(first) = waiting.iter().min() else { return Ok(()) };
    let message = format!(
        "No tool output found for the call `{}`: each call needs its output, a `function_call_output`, before anything new is said.",
        excerpt(first)
    );
    Err(invalid(message))
}

fn invalid(message: String) -> ApiError {
    ApiError::invalid("input", message)
}
