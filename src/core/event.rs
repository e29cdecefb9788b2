//! The one event type of a run. Chat chunks, Responses events, transcripts, metrics and logs are folds over it.

use super::failure::Failure;
use super::item::Item;
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
    /// One model call is over; `usage` is that call's alone.
    StepDone {
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
}
