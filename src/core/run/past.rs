//! What a journal tells of a run that was interrupted: the state that its machine was in.

use crate::core::event::{Delta, RunEvent};
use crate::core::item::{Item, Part, Phase, Status, ToolCall};
use crate::core::journal::Journal;
use crate::core::usage::Usage;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Past {
    /// Something of an answer had come from the upstream.
    pub started: bool,
    pub usage: Usage,
    /// Model calls that were over.
    pub steps: u32,
    /// Items that were done.
    pub done: BTreeMap<u32, Arc<Item>>,
    /// Items that were not, as far as they had come.
    pub open: BTreeMap<u32, Item>,
    /// Probabilities of a text that is still to come.
    ahead: Option<(u32, Delta)>,
    /// Indexes of what the last model call made.
    step: Vec<u32>,
    /// Indexes of what model calls had made that were cut off.
    pub interrupted: HashSet<u32>,
    /// The last model call was over.
    step_is_done: bool,
    /// Call ids of the tools that had begun.
    pub begun: HashSet<String>,
}

#[derive(Debug)]
pub(super) enum Progress {
    None,
    Started,
    Done(Arc<Item>),
}

impl Past {
    pub fn of(journal: &Journal) -> Self {
        let mut past = Self::default();
        for event in journal.events() {
            past.on(event);
        }
        past.resumed();
        past
    }

    fn on(&mut self, event: RunEvent) {
        match event {
            RunEvent::Started => self.started = true,
            RunEvent::Resumed => self.resumed(),
            RunEvent::ItemStarted { index, item } => {
                // A summary is made between the steps.
                if !matches!(item.as_ref(), Item::ToolOutput(_) | Item::Compaction(_)) {
                    if std::mem::take(&mut self.step_is_done) {
                        self.step.clear();
                    }
                    self.step.push(index);
                }
                self.open.insert(index, Item::clone(&item));
            }
            RunEvent::Delta { index, delta: Delta::Progress(_) } => {
                if let Some(Item::ToolOutput(output)) = self.open.get(&index) {
                    self.begun.insert(output.call_id.clone());
                }
            }
            RunEvent::Delta { index, delta: delta @ Delta::Logprobs(_) } => self.ahead = Some((index, delta)),
            RunEvent::Delta { index, delta } => {
                let ahead = self.ahead.take().filter(|(of, _)| *of == index);
                if let Some(item) = self.open.get_mut(&index) {
                    ahead.into_iter().for_each(|(_, ahead)| ahead.add_to(item));
                    delta.add_to(item);
                }
            }
            RunEvent::ItemDone { index, item } => {
                self.open.remove(&index);
                self.done.insert(index, item);
            }
            RunEvent::StepDone { usage } => {
                self.usage += usage;
                if !self.step_is_done && !self.step.is_empty() {
                    self.steps = self.steps.saturating_add(1);
                }
                self.step_is_done = true;
            }
            RunEvent::Spent { .. } | RunEvent::Waiting { .. } | RunEvent::Finished { .. } => {}
        }
    }

    /// The items of the last model call, if it was over and came to anything: one that was given up in silence did not.
    pub fn last_step(&self) -> Option<Vec<Arc<Item>>> {
        (self.step_is_done && !self.step.is_empty())
            .then(|| self.step.iter().filter_map(|index| self.done.get(index).cloned()).collect())
    }

    /// Takes the last model call for one that was cut off.
    pub fn take_back_step(&mut self) {
        self.step_is_done = false;
        self.resumed();
    }

    /// What comes after this is another process's.
    fn resumed(&mut self) {
        if !self.step_is_done {
            self.interrupted.extend(self.step.drain(..));
        }
    }

    /// Takes summaries for done of which only the begin is on record: they are whole when they are told.
    pub fn close_summaries(&mut self) -> Vec<(u32, Arc<Item>)> {
        let is_summary = |item: &Item| matches!(item, Item::Compaction(_));
        let begun = self.open.iter().filter(|(_, item)| is_summary(item));
        let closed: Vec<_> = begun.map(|(index, item)| (*index, Arc::new(item.clone()))).collect();
        self.open.retain(|_, item| !is_summary(item));
        self.done.extend(closed.iter().cloned());
        closed
    }

    /// The index behind the last model call's items, where the outputs of its calls begin.
    pub fn end_of_step(&self) -> u32 {
        self.step.iter().max().map_or(0, |last| last.saturating_add(1))
    }

    /// How far the output of this index had come.
    pub fn output(&self, index: u32) -> Progress {
        match (self.done.get(&index), self.open.get(&index)) {
            (Some(item), _) => Progress::Done(Arc::clone(item)),
            (None, Some(_)) => Progress::Started,
            (None, None) => Progress::None,
        }
    }

    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.done.values().map(Arc::as_ref).chain(self.open.values()).filter_map(|item| match item {
            Item::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// An item that was cut off by a crash, as it stays in the record: what was shown of a text was said, and half a call
/// was no call.
pub(super) fn closed(mut item: Item) -> Item {
    match &mut item {
        Item::Message(message) => (message.status, message.phase) = (Status::Completed, Some(Phase::Commentary)),
        Item::Reasoning(reasoning) => reasoning.status = Status::Completed,
        Item::ToolCall(call) => call.status = Status::Incomplete,
        Item::ToolOutput(_) | Item::Compaction(_) | Item::Opaque { .. } => {}
    }
    item
}

/// What is told of a run that nobody goes on with: its open items are closed as they are, and only the end is missing.
pub fn closing(journal: &Journal) -> Vec<RunEvent> {
    let close = |(index, item): (u32, Item)| RunEvent::ItemDone { index, item: Arc::new(cut_off(item)) };
    Past::of(journal).open.into_iter().map(close).collect()
}

fn cut_off(mut item: Item) -> Item {
    match &mut item {
        Item::Message(message) => message.status = Status::Incomplete,
        Item::Reasoning(reasoning) => reasoning.status = Status::Incomplete,
        Item::ToolCall(call) => call.status = Status::Incomplete,
        Item::ToolOutput(output) => {
            output.content = vec![Part::text("The run ended before this call did, so its outcome is unknown.")];
            output.failed = true;
        }
        Item::Compaction(_) | Item::Opaque { .. } => {}
    }
    item
}
