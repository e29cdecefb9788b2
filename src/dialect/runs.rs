//! Runs as they are, whichever dialect has started them: the object, and the stream of its events.

use super::{Projection, sse};
use crate::core::event::{Cut, Outcome, RunEvent};
use crate::core::failure::Failure;
use crate::core::id::RunId;
use crate::core::ports::journals::RunSummary;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What the id of a run begins with.
pub const ID_PREFIX: &str = "run_";

/// A run, over or not.
#[derive(Debug, PartialEq, Serialize)]
pub struct Run {
    pub id: String,
    object: &'static str,
    /// `in_progress`, or the outcome's own word.
    status: Status,
    /// What cut it short.
    reason: Option<Cut>,
    failure: Option<Failure>,
    /// The id of its answer, if that can be asked for.
    answer_id: Option<String>,
    /// The profile's id.
    model: String,
    /// Unix time in seconds, as `ended_at` is.
    created_at: u64,
    ended_at: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    InProgress,
    Completed,
    ClientTools,
    Incomplete,
    Failed,
    Cancelled,
}

impl Run {
    pub fn new(run: RunId, model: String, answer_id: Option<String>, outcome: Option<&Outcome>) -> Self {
        let (mut reason, mut failure) = (None, None);
        let status = match outcome {
            None => Status::InProgress,
            Some(Outcome::Completed) => Status::Completed,
            Some(Outcome::ClientTools) => Status::ClientTools,
            Some(Outcome::Incomplete { reason: cut }) => {
                reason = Some(*cut);
                Status::Incomplete
            }
            Some(Outcome::Failed { failure: why }) => {
                failure = Some(why.clone());
                Status::Failed
            }
            Some(Outcome::Cancelled) => Status::Cancelled,
        };
        let (id, created_at) = (run.to_string(), run.created_at());
        Self { id, object: "run", status, reason, failure, answer_id, model, created_at, ended_at: None }
    }

    /// One that was stored; `model` is in the head of either dialect.
    pub fn of(summary: RunSummary) -> Self {
        let RunSummary { run, id, head, outcome, ended_at } = summary;
        Self::new(run, model(&head), Some(id), outcome.as_ref()).ended(ended_at)
    }

    pub fn ended(self, at: Option<u64>) -> Self {
        Self { ended_at: at, ..self }
    }
}

/// The model that is named in the head of a stored answer.
pub fn model(head: &str) -> String {
    #[derive(Default, Deserialize)]
    struct Named {
        model: String,
    }
    serde_json::from_str(head).map(|Named { model }| model).unwrap_or_default()
}

/// The events of a run as frames. Each has a number, from 1 on, which is where a reader goes on.
pub struct Events {
    told: u64,
    /// The number of the last event that the reader has.
    seen: u64,
}

#[derive(Serialize)]
struct Numbered<'a> {
    number: u64,
    #[serde(flatten)]
    event: &'a RunEvent,
}

impl Events {
    pub fn after(seen: u64) -> Self {
        Self { told: 0, seen }
    }
}

impl Projection for Events {
    fn open(&mut self) -> Vec<Bytes> {
        Vec::new()
    }

    fn on(&mut self, event: &RunEvent) -> Vec<Bytes> {
        self.told = self.told.saturating_add(1);
        if self.told <= self.seen {
            return Vec::new();
        }
        let json = serde_json::to_vec(&Numbered { number: self.told, event }).unwrap_or_default();
        vec![sse::numbered(self.told, &json)]
    }
}
