//! Items as the Responses API writes them: what a response holds, and what its input is listed as.

use super::content::{Content, input_parts, message_parts};
use super::sealed;
use crate::core::item::{self, Item, Origin, Role, text_of};
use crate::dialect::activity::ToolActivity;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Where the tools live that are built into the server, as `mcp_call` items say.
const SERVER_LABEL: &str = "nuncio";

/// Optional keys are left out, never null, except those that the openai SDK's own objects have as null.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WireItem {
    Message {
        id: String,
        status: Status,
        role: Role,
        content: Vec<Content>,
    },
    Reasoning {
        id: String,
        status: Status,
        /// Always empty: the models behind chat completions show their reasoning itself.
        summary: [(); 0],
        content: Vec<Content>,
    },
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        arguments: String,
    },
    FunctionCallOutput {
        id: String,
        status: Status,
        call_id: String,
        output: Output,
    },
    /// A call that the server has run: the one form that no client takes for a call of its own to run.
    McpCall {
        id: String,
        status: Status,
        server_label: &'static str,
        name: String,
        arguments: String,
        approval_request_id: Option<()>,
        output: Option<String>,
        error: Option<ToolCallError>,
    },
    /// What was said before it, in short. It is whole from the beginning and has no status.
    Compaction {
        id: String,
        encrypted_content: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Output {
    Text(String),
    Parts(Vec<Content>),
}

/// What a tool said about its failure, in the form of a tool that an MCP server has run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolCallError {
    #[serde(rename = "type")]
    kind: &'static str,
    content: [ErrorText; 1],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ErrorText {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

impl From<item::Status> for Status {
    fn from(status: item::Status) -> Self {
        match status {
            item::Status::InProgress => Self::InProgress,
            item::Status::Completed => Self::Completed,
            item::Status::Incomplete => Self::Incomplete,
        }
    }
}

impl ToolCallError {
    pub fn new(text: String) -> Self {
        Self { kind: "mcp_tool_execution_error", content: [ErrorText { kind: "text", text }] }
    }
}

impl WireItem {
    /// An item that has just begun, as far as this client is shown it.
    pub fn begun(item: &Item, activity: ToolActivity) -> Option<Self> {
        let status = Status::InProgress;
        Some(match item {
            Item::Message(message) => {
                Self::Message { id: message.id.clone(), status, role: message.role, content: Vec::new() }
            }
            Item::Reasoning(reasoning) => {
                Self::Reasoning { id: reasoning.id.clone(), status, summary: [], content: Vec::new() }
            }
            Item::ToolCall(call) => match (call.origin, activity) {
                (Origin::Server, ToolActivity::Hidden) => return None,
                (Origin::Server, ToolActivity::Standard) => Self::mcp_call(call),
                (Origin::Client, _) | (_, ToolActivity::FunctionCall) => Self::FunctionCall {
                    id: call.id.clone(),
                    status,
                    call_id: call.call_id.clone(),
                    name: call.name.clone(),
                    arguments: String::new(),
                },
            },
            Item::ToolOutput(output) if activity == ToolActivity::FunctionCall => Self::FunctionCallOutput {
                id: output.id.clone(),
                status,
                call_id: output.call_id.clone(),
                output: Output::Text(String::new()),
            },
            Item::Compaction(compaction) => {
                Self::Compaction { id: compaction.id.clone(), encrypted_content: sealed::seal(compaction) }
            }
            Item::ToolOutput(_) | Item::Opaque { .. } => return None,
        })
    }

    fn mcp_call(call: &item::ToolCall) -> Self {
        Self::McpCall {
            id: mcp_id(&call.call_id),
            status: Status::InProgress,
            server_label: SERVER_LABEL,
            name: call.name.clone(),
            arguments: String::new(),
            approval_request_id: None,
            output: None,
            error: None,
        }
    }

    /// The items of a request, as they are listed. They have ids since they were stored.
    pub fn of_input(items: &[Arc<Item>]) -> Vec<Self> {
        Self::listed(items, ToolActivity::Standard, ToolActivity::FunctionCall)
    }

    /// The items that a run has made, as its response shows them.
    pub fn of_output(items: &[Arc<Item>], activity: ToolActivity) -> Vec<Self> {
        Self::listed(items, activity, activity)
    }

    fn listed(items: &[Arc<Item>], calls: ToolActivity, outputs: ToolActivity) -> Vec<Self> {
        let mut listed: Vec<Self> = Vec::with_capacity(items.len());
        // A call that a server has run is one item with its output.
        let mut running: HashMap<&str, usize> = HashMap::new();
        for item in items {
            match item.as_ref() {
                Item::ToolOutput(output) => {
                    match running.remove(output.call_id.as_str()).and_then(|at| listed.get_mut(at)) {
                        Some(call) => call.answer(output),
                        None => listed.extend(Self::whole(item, outputs)),
                    }
                }
                Item::ToolCall(call) => {
                    let wire = Self::whole(item, calls);
                    if let Some(Self::McpCall { .. }) = &wire {
                        running.insert(&call.call_id, listed.len());
                    }
                    listed.extend(wire);
                }
                _ => listed.extend(Self::whole(item, calls)),
            }
        }
        listed
    }

    /// An item with all that is in it.
    fn whole(item: &Item, activity: ToolActivity) -> Option<Self> {
        let mut wire = Self::begun(item, activity)?;
        match (item, &mut wire) {
            (Item::Message(message), Self::Message { content, status, .. }) => {
                *content = message_parts(message.role, &message.content);
                *status = message.status.into();
            }
            (Item::Reasoning(reasoning), Self::Reasoning { content, status, .. }) => {
                content.push(Content::ReasoningText { text: reasoning.text.clone() });
                *status = reasoning.status.into();
            }
            (
                Item::ToolCall(call),
                Self::FunctionCall { arguments, status, .. } | Self::McpCall { arguments, status, .. },
            ) => {
                arguments.clone_from(&call.arguments);
                *status = call.status.into();
            }
            (Item::ToolOutput(output), wire) => wire.answer(output),
            _ => {}
        }
        Some(wire)
    }

    /// Whether it is what a client sees of this item.
    pub fn shows(&self, item: &Item) -> bool {
        match (self, item) {
            (Self::McpCall { id, .. }, Item::ToolCall(call)) => call_id_of(id) == call.call_id,
            (Self::McpCall { id, .. }, Item::ToolOutput(output)) => call_id_of(id) == output.call_id,
            _ => self.id() == item.id(),
        }
    }

    /// Takes what a tool has said.
    pub fn answer(&mut self, answer: &item::ToolOutput) {
        match self {
            Self::FunctionCallOutput { output, status, .. } => {
                *status = Status::Completed;
                *output = match answer.content.as_slice() {
                    [] | [item::Part::Text { .. }] => Output::Text(text_of(&answer.content).into_owned()),
                    parts => Output::Parts(input_parts(parts)),
                };
            }
            Self::McpCall { output, error, status, .. } => {
                let text = text_of(&answer.content).into_owned();
                *status = if answer.failed { Status::Failed } else { Status::Completed };
                match answer.failed {
                    true => *error = Some(ToolCallError::new(text)),
                    false => *output = Some(text),
                }
            }
            _ => {}
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::Reasoning { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::FunctionCallOutput { id, .. }
            | Self::McpCall { id, .. }
            | Self::Compaction { id, .. } => id,
        }
    }

    pub fn status(&self) -> Status {
        match self {
            Self::Message { status, .. }
            | Self::Reasoning { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::FunctionCallOutput { status, .. }
            | Self::McpCall { status, .. } => *status,
            Self::Compaction { .. } => Status::Completed,
        }
    }

    pub fn set_status(&mut self, to: Status) {
        match self {
            Self::Message { status, .. }
            | Self::Reasoning { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::FunctionCallOutput { status, .. }
            | Self::McpCall { status, .. } => *status = to,
            Self::Compaction { .. } => {}
        }
    }

    /// The parts of an item that has some.
    pub fn content_mut(&mut self) -> Option<&mut Vec<Content>> {
        match self {
            Self::Message { content, .. } | Self::Reasoning { content, .. } => Some(content),
            _ => None,
        }
    }
}

/// An `mcp_call` has no `call_id`, so its id carries it: the call keeps it when a client sends the item back.
fn mcp_id(call_id: &str) -> String {
    format!("mcp_{call_id}")
}

/// The call id behind the id of an `mcp_call` item, ours or another server's.
pub(super) fn call_id_of(mcp_id: &str) -> &str {
    mcp_id.strip_prefix("mcp_").filter(|rest| !rest.is_empty()).unwrap_or(mcp_id)
}
