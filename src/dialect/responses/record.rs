//! What is kept of a response: how it began, and what its request brought. What came of it is in the run's journal, and
//! the object and its stream are made from both, as often as they are asked for.

use super::fold::{EndTime, Fold, Head};
use super::ids;
use super::resource::Resource;
use crate::core::event::{Outcome, RunEvent};
use crate::core::id::RunId;
use crate::core::item::Item;
use crate::core::journal::Journal;
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
        let mut head: Head = serde_json::from_str(&stored.head).ok()?;
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

    /// What there is to store once the run is over. `previous` is the link that it went on from.
    ///
    /// A run that was ended before it had made anything is no part of its conversation: what was asked is asked again.
    pub fn stored(&self, previous: Option<String>, journal: Journal) -> StoredResponse {
        let Head { id, settings, .. } = &self.head;
        let output: Arc<[_]> = journal.items().into();
        let ended_well = matches!(journal.outcome(), Some(Outcome::Completed | Outcome::ClientTools));
        let conversation = settings.conversation.as_ref().filter(|_| ended_well || !output.is_empty());
        StoredResponse {
            id: id.clone(),
            previous,
            conversation: conversation.map(|conversation| conversation.id.clone()),
            instructions: settings.instructions.clone(),
            input: Arc::clone(&self.input),
            output,
            head: serde_json::to_string(&self.head).unwrap_or_default(),
            journal: Arc::new(journal),
            ended_at: self.head.ended.get(),
        }
    }
}

/// How the response that begins so shows what the server's tools did.
pub(super) fn activity(head: &str) -> ToolActivity {
    #[derive(Deserialize)]
    struct Shown {
        activity: ToolActivity,
    }
    serde_json::from_str::<Shown>(head).map(|shown| shown.activity).unwrap_or_default()
}
