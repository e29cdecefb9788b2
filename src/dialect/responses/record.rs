//! What is kept of a response: how it began, and what its request brought. What came of it is in the run's journal, and
//! the object and its stream are made from both, as often as they are asked for.

use super::fold::{EndTime, Fold, Head};
use super::ids;
use super::resource::Resource;
use super::stored_head;
use super::view::View;
use crate::core::event::{Outcome, RunEvent};
use crate::core::id::RunId;
use crate::core::item::Item;
use crate::core::journal::Journal;
use crate::core::ports::journals::{Ending, Fence};
use crate::core::ports::store::StoredResponse;
use crate::dialect::activity::ToolActivity;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Clone)]
pub struct Record {
    pub head: Head,
    input: Arc<[Arc<Item>]>,
}

impl Record {
    /// `input` is what the request brought, without the history.
    pub fn new(run: RunId, head: Head, input: Vec<Arc<Item>>) -> Self {
        let input = match head.settings.conversation {
            None => ids::fill(run, input),
            Some(_) => ids::renew(run, input),
        };
        Self { head, input }
    }

    /// Reads what was stored. `None` if it is not what we have written.
    pub fn of(stored: &StoredResponse) -> Option<Self> {
        let mut head = stored_head::unpack(&stored.head)?;
        head.ended = EndTime::at(stored.ended_at);
        Some(Self { head, input: Arc::clone(&stored.input) })
    }

    /// The response as these events leave it.
    pub fn resource(&self, events: impl Iterator<Item = RunEvent>) -> Resource {
        let mut fold = Fold::new(self.head.clone());
        events.for_each(|event| drop(fold.on(&event)));
        fold.resource()
    }

    pub fn input(&self) -> &[Arc<Item>] {
        &self.input
    }

    /// The response as it is stored before its run begins.
    pub fn opening(&self) -> StoredResponse {
        let Head { id, settings, .. } = &self.head;
        StoredResponse {
            id: id.clone(),
            previous: settings.previous_response_id.clone(),
            conversation: None,
            instructions: settings.instructions.clone(),
            input: Arc::clone(&self.input),
            output: Arc::default(),
            head: stored_head::pack(&self.head),
            journal: Arc::default(),
            ended_at: None,
        }
    }

    /// What is added to that at the end. `previous` is the link that the run went on from, `turn` what it has its
    /// conversation's head with.
    ///
    /// A run that was ended before it had made anything is no part of its conversation: what was asked is asked again.
    pub fn ending(
        &self,
        previous: Option<String>,
        turn: Option<Fence>,
        outcome: &Outcome,
        made_something: bool,
    ) -> Ending {
        let ended_well = matches!(outcome, Outcome::Completed | Outcome::ClientTools);
        let conversation = self.head.settings.conversation.as_ref().filter(|_| ended_well || made_something);
        let conversation = conversation.map(|conversation| conversation.id.clone()).zip(turn);
        Ending { at: self.head.ended.get().unwrap_or_default(), previous, conversation, journal: None }
    }

    /// The response of a run that is over.
    pub fn stored(&self, previous: Option<String>, turn: Option<Fence>, journal: Journal) -> StoredResponse {
        let output: Arc<[_]> = journal.items().into();
        let ended = journal.outcome().map(|outcome| self.ending(previous, turn, outcome, !output.is_empty()));
        let Ending { at, previous, conversation, .. } = ended.unwrap_or_default();
        StoredResponse {
            previous,
            conversation: conversation.map(|(id, _)| id),
            output,
            journal: Arc::new(journal),
            ended_at: Some(at),
            ..self.opening()
        }
    }
}

/// How a response shows what its run has made.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    pub activity: ToolActivity,
    #[serde(default)]
    pub view: View,
}

impl Shown {
    /// Of the response that begins so.
    pub fn by(head: &str) -> Self {
        serde_json::from_str(head).unwrap_or_default()
    }
}
