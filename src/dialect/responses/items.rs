//! Items as the Responses API writes them: what a response holds, and what its input is listed as.

use super::content::{Content, input_parts, message_parts};
use super::record::Shown;
use super::sealed::seal;
use super::view::View;
use crate::core::item::{self, Item, Origin, Phase, Role, text_of};
use crate::core::ports::store::ItemKey;
use crate::dialect::activity::ToolActivity;
use serde::Serialize;
use serde_json::Value;
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
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<Phase>,
        content: Vec<Content>,
    },
    /// Shown either as a summary, which every client knows, or itself.
    Reasoning {
        id: String,
        status: Status,
        summary: Vec<Content>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Vec<Content>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
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
    /// As it was sent.
    #[serde(untagged)]
    Hosted(Value),
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
    /// What a message was for may be known at its end alone.
    pub fn is_in(&mut self, known: Option<Phase>) {
        if let Self::Message { phase, .. } = self {
            *phase = known;
        }
    }

    /// An item that has just begun, as far as this client is shown it.
    pub fn begun(item: &Item, activity: ToolActivity, view: View) -> Option<Self> {
        let status = Status::InProgress;
        Some(match item {
            Item::Message(message) => {
                let (id, role, phase) = (message.id.clone(), message.role, message.phase);
                Self::Message { id, status, role, phase, content: Vec::new() }
            }
            Item::Reasoning(reasoning) => {
                let (id, summary, encrypted_content) = (reasoning.id.clone(), Vec::new(), None);
                let content = (!view.summary).then(Vec::new);
                Self::Reasoning { id, status, summary, content, encrypted_content }
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
                Self::Compaction { id: compaction.id.clone(), encrypted_content: seal(compaction) }
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
        Self::listed(items, ToolActivity::Standard, ToolActivity::FunctionCall, None)
    }

    /// The items that a run has made, as its response shows them.
    pub(super) fn of_output(items: &[Arc<Item>], shown: Shown) -> Vec<Self> {
        Self::listed(items, shown.activity, shown.activity, Some(shown.view))
    }

    fn listed(items: &[Arc<Item>], calls: ToolActivity, outputs: ToolActivity, view: Option<View>) -> Vec<Self> {
        let mut listed: Vec<Self> = Vec::with_capacity(items.len());
        // A call that a server has run is one item with its output.
        let mut running: HashMap<&str, usize> = HashMap::new();
        for item in items {
            match item.as_ref() {
                Item::ToolOutput(output) => {
                    match running.remove(output.call_id.as_str()).and_then(|at| listed.get_mut(at)) {
                        Some(call) => call.answer(output),
                        None => listed.extend(Self::whole(item, outputs, view)),
                    }
                }
                Item::ToolCall(call) => {
                    let wire = Self::whole(item, calls, view);
                    if let Some(Self::McpCall { .. }) = &wire {
                        running.insert(&call.call_id, listed.len());
                    }
                    listed.extend(wire);
                }
                _ => listed.extend(Self::whole(item, calls, view)),
            }
        }
        // The run was interrupted before it began with these, as its response says too.
        for at in running.into_values().filter(|_| view.is_some()) {
            if let Some(call) = listed.get_mut(at) {
                call.set_status(Status::Incomplete);
            }
        }
        listed
    }

    /// An item with all that is in it. Without a view it is shown as it was sent.
    fn whole(item: &Item, activity: ToolActivity, view: Option<View>) -> Option<Self> {
        let sent = |reasoning: &item::Reasoning| View {
            summary: reasoning.is_summary || reasoning.text.is_empty(),
            sealed: true,
        };
        let view = match item {
            Item::Opaque { value } => return Some(Self::Hosted(value.clone())),
            Item::Reasoning(reasoning) => view.unwrap_or_else(|| sent(reasoning)),
            _ => View::default(),
        };
        let mut wire = Self::begun(item, activity, view)?;
        match (item, &mut wire) {
            (Item::Message(message), Self::Message { content, status, .. }) => {
                *content = message_parts(message.role, &message.content);
                *status = message.status.into();
            }
            (Item::Reasoning(reasoning), wire) => {
                wire.parts_mut()
                    .into_iter()
                    .for_each(|parts| parts.extend(reasoning_part(&reasoning.text, view.summary)));
                if view.sealed {
                    wire.reveal(reasoning);
                }
                wire.set_status(reasoning.status.into());
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

    /// Adds what the model's maker has sealed.
    pub fn reveal(&mut self, reasoning: &item::Reasoning) {
        if let Self::Reasoning { encrypted_content, .. } = self {
            *encrypted_content = reasoning.sealed.as_ref().map(seal);
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Hosted(value) => value.get("id").and_then(Value::as_str).unwrap_or_default(),
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
            Self::Hosted(_) => Status::Completed,
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
            Self::Hosted(_) => {}
            Self::Message { status, .. }
            | Self::Reasoning { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::FunctionCallOutput { status, .. }
            | Self::McpCall { status, .. } => *status = to,
            Self::Compaction { .. } => {}
        }
    }

    /// The parts of an item that has some.
    pub fn parts_mut(&mut self) -> Option<&mut Vec<Content>> {
        match self {
            Self::Message { content, .. } | Self::Reasoning { content: Some(content), .. } => Some(content),
            Self::Reasoning { summary, .. } => Some(summary),
            _ => None,
        }
    }
}

fn reasoning_part(text: &str, summary: bool) -> Option<Content> {
    let text = Some(text.to_owned()).filter(|text| !text.is_empty())?;
    Some(if summary { Content::SummaryText { text } } else { Content::ReasoningText { text } })
}

/// An `mcp_call` has no `call_id`, so its id carries it: the call keeps it when a client sends the item back.
fn mcp_id(call_id: &str) -> String {
    format!("mcp_{call_id}")
}

/// How a stored item is asked for by the id that its client was shown.
pub(super) fn key(id: &str) -> ItemKey {
    match id.strip_prefix("mcp_") {
        Some(call_id) => ItemKey::Call(call_id.to_owned()),
        None => ItemKey::Id(id.to_owned()),
    }
}

/// The call id behind the id of an `mcp_call` item, ours or another server's.
pub(super) fn call_id_of(mcp_id: &str) -> &str {
    mcp_id.strip_prefix("mcp_").filter(|rest| !rest.is_empty()).unwrap_or(mcp_id)
}
