//! The one event type of a run. Chat chunks, Responses events, transcripts, metrics and logs are folds over it.

use super::failure::Failure;
use super::item::{Item, Message, Part};
use super::logprob::Logprob;
use super::usage::Usage;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happened in a run, in the order in which it is told to everyone.
///
/// `index` numbers the items of the run from 0. Items may be open at the same time; every started item is done
/// exactly once, before `Finished`, and nothing follows `Finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The upstream has taken the first call: the answer is under way.
    Started,
    /// The process that ran it before is gone, and another one goes on. A model call that was cut off is made again.
    Resumed,
    ItemStarted {
        index: u32,
        item: Arc<Item>,
    },
    Delta {
        index: u32,
        delta: Delta,
    },
    ItemDone {
        index: u32,
        item: Arc<Item>,
    },
    /// One model call is over, or an answer that was held after one is told; `usage` is that call's alone.
    StepDone {
        usage: Usage,
    },
    /// A tool has had models called on its behalf, as a delegated task does: `usage` counts for the run and is no part of
    /// its own answer's.
    Spent {
        usage: Usage,
    },
    /// The run stands still until the client has run these calls.
    Waiting {
        call_ids: Vec<String>,
    },
    Finished {
        outcome: Outcome,
    },
}

/// A piece added to an open item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
pub enum Delta {
    Text(String),
    /// Of the tokens of the piece of text that follows.
    Logprobs(Vec<Logprob>),
    Refusal(String),
    Reasoning(String),
    Arguments(String),
    /// What a running tool is doing, for people to watch; no part of its output.
    Progress(String),
}

impl Delta {
    /// Its text, if it is made of text alone.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text)
            | Self::Refusal(text)
            | Self::Reasoning(text)
            | Self::Arguments(text)
            | Self::Progress(text) => Some(text),
            Self::Logprobs(_) => None,
        }
    }

    /// Another piece of the same kind, of text alone.
    pub fn with(&self, text: String) -> Self {
        match self {
            Self::Text(_) | Self::Logprobs(_) => Self::Text(text),
            Self::Refusal(_) => Self::Refusal(text),
            Self::Reasoning(_) => Self::Reasoning(text),
            Self::Arguments(_) => Self::Arguments(text),
            Self::Progress(_) => Self::Progress(text),
        }
    }

    /// Lets an open item grow by this piece. One that it does not go with stays as it is.
    pub fn add_to(&self, item: &mut Item) {
        match (item, self) {
            (Item::Message(message), Self::Text(piece)) => write(message, |text, _| text.push_str(piece)),
            (Item::Message(message), Self::Logprobs(more)) => {
                write(message, |_, logprobs| logprobs.extend_from_slice(more));
            }
            (Item::Message(message), Self::Refusal(text)) => match message.content.last_mut() {
                Some(Part::Refusal { refusal }) => refusal.push_str(text),
                _ => message.content.push(Part::Refusal { refusal: text.clone() }),
            },
            (Item::Reasoning(reasoning), Self::Reasoning(text)) => reasoning.text.push_str(text),
            (Item::ToolCall(call), Self::Arguments(text)) => call.arguments.push_str(text),
            _ => {}
        }
    }

    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Changes the part that takes text, and opens one if there is none.
fn write(message: &mut Message, change: impl FnOnce(&mut String, &mut Vec<Logprob>)) {
    match message.content.last_mut() {
        Some(Part::Text { text, logprobs }) => change(text, logprobs),
        _ => {
            let (mut text, mut logprobs) = Default::default();
            change(&mut text, &mut logprobs);
            message.content.push(Part::Text { text, logprobs });
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    /// The turn ends with calls that the client must run.
    ClientTools,
    /// Cut short, with what there is.
    Incomplete {
        reason: Cut,
    },
    Failed {
        failure: Failure,
    },
    /// The client asked for it.
    Cancelled,
}

/// What cut an answer short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    OutputTokens,
    Steps,
    WallTime,
    ContentFilter,
    /// Nobody listened any more.
    Disconnected,
}
