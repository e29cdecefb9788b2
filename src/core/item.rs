//! Items: the one form in which a conversation is held, stored, replayed and returned. Its shape is that of the
//! Responses API; chat messages are a lossy view of it.

use super::logprob::Logprob;
use super::sealed::Sealed;
mod weight;
mod words;

pub use words::in_words;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// One thing said or done in a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    Message(Message),
    Reasoning(Reasoning),
    ToolCall(ToolCall),
    ToolOutput(ToolOutput),
    Compaction(Compaction),
    /// An item of a kind we do not know, kept whole so that it survives a round trip.
    Opaque {
        value: Value,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Empty for an item that a client sent without one.
    pub id: String,
    pub role: Role,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub content: Vec<Part>,
    /// Fields of the client's message that we do not know (`name`, `cache_control`, …): they go on to an upstream of the same dialect.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
}

/// What a message of the assistant is for, where its maker says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Said on the way.
    Commentary,
    FinalAnswer,
}

/// Where an item stands. An item in the transcript is never `InProgress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    InProgress,
    Completed,
    /// Cut off: by a limit, a failure or a cancel.
    Incomplete,
}

/// A piece of a message's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        text: String,
        /// Of the tokens the text is made of, where they were asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logprobs: Vec<Logprob>,
    },
    Refusal {
        refusal: String,
    },
    Image {
        url: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    File {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Base64, mostly as a data URL.
        data: String,
    },
    /// A part of another kind (`input_audio`, `file`, …) or a text part with more keys, kept as the client sent it.
    Opaque {
        value: Value,
    },
}

/// What the model thought before it spoke.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    pub id: String,
    pub status: Status,
    /// What can be read of it. There may be none.
    pub text: String,
    /// The text is a summary: the client that sent it was shown no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_summary: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    /// Pairs the call with its output. Ours (`RunId::call`), or the client's in the history it sends.
    pub call_id: String,
    pub name: String,
    /// JSON text as the model wrote it, which may be no JSON at all.
    pub arguments: String,
    pub origin: Origin,
    pub status: Status,
    /// Further keys of the call, sent back to the upstream with it: some models sign their calls there and refuse a
    /// history in which the signature is missing.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Who runs a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// This daemon; shown to the client as activity, never as a call it could answer.
    Server,
    /// The client that brought the tool in its request.
    Client,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolOutput {
    pub id: String,
    pub call_id: String,
    pub content: Vec<Part>,
    /// The tool could not do what was asked and says why; the model goes on from there.
    pub failed: bool,
    /// Fields of the client's message that we do not know; they go on to an upstream of the same dialect.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Stands for everything before it: what was said until then, in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compaction {
    pub id: String,
    /// In the model's own words.
    pub summary: String,
    /// System text that goes on holding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Message>,
    /// What was asked and is still to be answered, as it was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub question: Vec<Message>,
}

impl Compaction {
    /// What it keeps as it was said.
    pub fn kept(&self) -> impl Iterator<Item = &Message> {
        self.system.iter().chain(&self.question)
    }
}

impl Item {
    /// Empty where it has none.
    pub fn id(&self) -> &str {
        match self {
            Self::Message(message) => &message.id,
            Self::Reasoning(reasoning) => &reasoning.id,
            Self::ToolCall(call) => &call.id,
            Self::ToolOutput(output) => &output.id,
            Self::Compaction(compaction) => &compaction.id,
            Self::Opaque { value } => value.get("id").and_then(Value::as_str).unwrap_or_default(),
        }
    }
}

impl Part {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), logprobs: Vec::new() }
    }

    /// The text of this part, whatever its kind; `None` where it has none.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Refusal { refusal } => Some(refusal),
            Self::Image { .. } | Self::File { .. } => None,
            Self::Opaque { value } => value.get("text").and_then(Value::as_str),
        }
    }
}

/// All text of some parts, joined without a separator.
pub fn text_of(parts: &[Part]) -> Cow<'_, str> {
    match parts {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(one.as_text().unwrap_or("")),
        many => Cow::Owned(many.iter().filter_map(Part::as_text).collect()),
    }
}

impl Reasoning {
    /// A piece of reasoning of which nothing is there yet.
    pub fn blank(id: String, status: Status) -> Self {
        Self { id, status, text: String::new(), is_summary: false, sealed: None }
    }
}

impl Message {
    /// Told to the model, by whoever runs it, and not said in the conversation.
    pub fn is_system(&self) -> bool {
        matches!(self.role, Role::System | Role::Developer)
    }

    /// A finished message of one text part with no id, as a client or a profile would write it.
    pub fn of(role: Role, text: impl Into<String>) -> Self {
        let (id, content) = (String::new(), vec![Part::text(text)]);
        Self { id, role, status: Status::Completed, phase: None, content, extra: Map::new() }
    }
}
