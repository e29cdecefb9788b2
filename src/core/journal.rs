//! A run's events in the order in which they were told, packed: a stream is mostly deltas, and a row of them is kept as
//! one text and the places where it was cut.

mod packed;
#[cfg(test)]
mod tests;

pub use packed::Unreadable;

use super::event::{Delta, Outcome, RunEvent};
use super::item::Item;
use std::sync::Arc;

/// What has been told of a run. Whoever reads it keeps a [`Cursor`] and gets every event once, however late it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    entries: Vec<Entry>,
    /// Events, each delta of a row counted.
    len: u64,
    bytes: usize,
}

/// An event with the number it was told under.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Of the first frame that it made on its stream. Kept, so that another version of the dialect, which may make more
    /// or fewer frames of an event, cannot give a reader the same number twice.
    pub sequence: u64,
    pub event: RunEvent,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Event(Told),
    Row(Row),
}

/// Deltas of one item and one kind that followed one another.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// Number of the first delta; each of the others has the next one.
    sequence: u64,
    index: u32,
    /// An empty delta of the row's kind.
    kind: Delta,
    text: String,
    /// Where in `text` each delta ends.
    ends: Vec<usize>,
}

/// How far a reader has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Events read.
    pub at: u64,
    entry: usize,
    /// Deltas read of the row that `entry` is.
    piece: usize,
}

impl Journal {
    pub fn push(&mut self, told: Told) {
        self.len = self.len.saturating_add(1);
        let piece = match &told.event {
            RunEvent::Delta { index, delta } => delta.text().map(|text| (*index, delta, text)),
            _ => None,
        };
        let Some((index, delta, text)) = piece else {
            self.bytes = self.bytes.saturating_add(weight(&told.event));
            return self.entries.push(Entry::Event(told));
        };
        self.bytes = self.bytes.saturating_add(text.len().saturating_add(size_of::<usize>()));
        if let Some(Entry::Row(row)) = self.entries.last_mut()
            && row.goes_on_with(told.sequence, index, delta)
        {
            return row.push(text);
        }
        let (kind, ends) = (delta.with(String::new()), Vec::new());
        let mut row = Row { sequence: told.sequence, index, kind, text: String::new(), ends };
        row.push(text);
        self.entries.push(Entry::Row(row));
    }

    /// The next event for this reader; `None` while there is none.
    pub fn next(&self, cursor: &mut Cursor) -> Option<Told> {
        let told = match self.entries.get(cursor.entry)? {
            Entry::Event(told) => {
                cursor.entry = cursor.entry.saturating_add(1);
                told.clone()
            }
            Entry::Row(row) => match row.get(cursor.piece) {
                Some(told) => {
                    cursor.piece = cursor.piece.saturating_add(1);
                    told
                }
                // The row may still grow, as long as it is the last entry.
                None => {
                    self.entries.get(cursor.entry.saturating_add(1))?;
                    *cursor = Cursor { entry: cursor.entry.saturating_add(1), piece: 0, ..*cursor };
                    return self.next(cursor);
                }
            },
        };
        cursor.at = cursor.at.saturating_add(1);
        Some(told)
    }

    /// Every event from the first one on.
    pub fn told(&self) -> impl Iterator<Item = Told> {
        let mut cursor = Cursor::default();
        std::iter::from_fn(move || self.next(&mut cursor))
    }

    pub fn events(&self) -> impl Iterator<Item = RunEvent> {
        self.told().map(|told| told.event)
    }

    /// The items that are done, in the order of their indexes.
    pub fn items(&self) -> Vec<Arc<Item>> {
        let done = self.entries.iter().filter_map(|entry| match entry {
            Entry::Event(Told { event: RunEvent::ItemDone { index, item }, .. }) => Some((*index, Arc::clone(item))),
            _ => None,
        });
        let mut items: Vec<_> = done.collect();
        items.sort_by_key(|(index, _)| *index);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// What was told from the event number `at` on.
    pub fn from(&self, at: u64) -> Self {
        let mut rest = Self::default();
        self.told().skip(usize::try_from(at).unwrap_or(usize::MAX)).for_each(|told| rest.push(told));
        rest
    }

    /// Goes on with what was told after this.
    pub fn extend(&mut self, later: &Self) {
        later.told().for_each(|told| self.push(told));
    }

    /// How it ended; `None` while it goes on.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self.entries.last()? {
            Entry::Event(Told { event: RunEvent::Finished { outcome }, .. }) => Some(outcome),
            _ => None,
        }
    }

    /// The first call of each turn in which the run waits for its client, which is what the turn is kept by.
    pub fn waits(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Event(Told { event: RunEvent::Waiting { call_ids }, .. }) => call_ids.first().map(String::as_str),
            _ => None,
        })
    }

    /// Events in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it weighs in memory, near enough.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Row {
    fn goes_on_with(&self, sequence: u64, index: u32, delta: &Delta) -> bool {
        let next = self.sequence.saturating_add(self.ends.len() as u64);
        (next, self.index) == (sequence, index) && self.kind.is_like(delta)
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    fn get(&self, piece: usize) -> Option<Told> {
        let end = *self.ends.get(piece)?;
        let start = piece.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let delta = self.kind.with(self.text.get(start..end)?.to_owned());
        let sequence = self.sequence.saturating_add(piece as u64);
        Some(Told { sequence, event: RunEvent::Delta { index: self.index, delta } })
    }
}

/// An item that is done shares its memory with the run's output; only what a tool said is in no delta before it.
fn weight(event: &RunEvent) -> usize {
    let item = match event {
        RunEvent::ItemDone { item, .. } => item.weight(),
        _ => 0,
    };
    size_of::<Entry>().saturating_add(item)
}
