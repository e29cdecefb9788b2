//! What is kept of a run for its client, in either dialect.

use super::responses::record as responses;
use crate::core::event::Outcome;
use crate::core::ports::journals::{Ending, Fence};
use crate::core::ports::store::StoredResponse;
use crate::dialect::responses::events::Numbering;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone)]
pub enum Record {
    Response(responses::Record),
    Chat(Chat),
}

/// Of a chat completion: it can be asked for again by its key alone, with all that the request says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chat {
    pub id: String,
    /// The profile's id.
    pub model: String,
    /// Unix time in seconds.
    pub created_at: u64,
    /// The clock for its end.
    #[serde(skip)]
    pub clock: Option<fn() -> u64>,
}

impl Record {
    /// Reads what was stored. `None` if it is not what we have written.
    pub fn of(stored: &StoredResponse) -> Option<Self> {
        let response = || responses::Record::of(stored).map(Self::Response);
        response().or_else(|| serde_json::from_str(&stored.head).ok().map(Self::Chat))
    }

    /// The id of the answer.
    pub fn id(&self) -> &str {
        match self {
            Self::Response(record) => &record.head.id,
            Self::Chat(chat) => &chat.id,
        }
    }

    /// The response, if it is one.
    pub fn response(&self) -> Option<&responses::Record> {
        match self {
            Self::Response(record) => Some(record),
            Self::Chat(_) => None,
        }
    }

    /// Counts the frames of its stream, if they have numbers.
    pub fn numbering(&self) -> Option<Numbering> {
        self.response().map(|record| Numbering::new(record.head.clone()))
    }

    /// What is stored before its run begins.
    pub fn opening(&self) -> StoredResponse {
        match self {
            Self::Response(record) => record.opening(),
            Self::Chat(chat) => StoredResponse {
                id: chat.id.clone(),
                previous: None,
                conversation: None,
                instructions: None,
                input: Arc::default(),
                output: Arc::default(),
                head: serde_json::to_string(chat).unwrap_or_default(),
                journal: Arc::default(),
                ended_at: None,
            },
        }
    }

    /// What is added to that at the end.
    pub fn ending(
        &self,
        previous: Option<String>,
        turn: Option<Fence>,
        outcome: &Outcome,
        made_something: bool,
    ) -> Ending {
        match self {
            Self::Response(record) => record.ending(previous, turn, outcome, made_something),
            Self::Chat(chat) => Ending { at: chat.clock.map_or(0, |clock| clock()), ..Ending::default() },
        }
    }
}
