//! Items of tools that OpenAI hosts or defines, which clients bring along from another server. A chat model cannot be told
//! of them, so they are kept and listed and otherwise left out.

use crate::core::item::Item;
use serde_json::{Map, Value};

/// Kinds that stand alone.
const ALONE: [&str; 10] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_list_tools",
    "program",
    "program_output",
    "tool_search_call",
    "web_search_call",
];

/// Kinds of calls that a client runs. Each has its output, of the kind with `_output` added.
const CALLS: [&str; 4] = ["apply_patch_call", "computer_call", "local_shell_call", "shell_call"];

pub(super) fn is_known(kind: &str) -> bool {
    ALONE.contains(&kind) || kind == "tool_search_output" || CALLS.contains(&call_of(kind))
}

fn call_of(kind: &str) -> &str {
    kind.strip_suffix("_output").unwrap_or(kind)
}

/// The item with all that the client said of it.
pub(super) fn item(kind: String, rest: Map<String, Value>) -> Item {
    let kind = [("type".to_owned(), Value::String(kind))];
    Item::Opaque { value: Value::Object(kind.into_iter().chain(rest).collect()) }
}

/// Which side of a call an item is.
pub(super) enum Side<'a> {
    Call(&'a str),
    Output(&'a str),
}

/// What must pair up: the calls that a client runs and their outputs, hosted kinds included.
pub(super) fn side(item: &Item) -> Option<Side<'_>> {
    match item {
        Item::ToolCall(call) => Some(Side::Call(&call.call_id)),
        Item::ToolOutput(output) => Some(Side::Output(&output.call_id)),
        Item::Opaque { value } => {
            let text = |key: &str| value.get(key).and_then(Value::as_str);
            let kind = text("type").filter(|kind| CALLS.contains(&call_of(kind)))?;
            // The output of a `local_shell_call` has its call's id as its own.
            let call_id = text("call_id").or_else(|| text("id"))?;
            Some(if kind == call_of(kind) { Side::Call(call_id) } else { Side::Output(call_id) })
        }
        Item::Message(_) | Item::Reasoning(_) | Item::Compaction(_) => None,
    }
}
