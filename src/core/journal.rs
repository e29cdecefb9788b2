//! A run's events in the order in which they were told, packed: a stream is mostly deltas, and a row of them is kept as
//! one text and the places where it was cut.

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

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Event(RunEvent),
    Row(Row),
}

/// Deltas of one item and one kind that followed one another.
#[derive(Clone, Debug, PartialEq)]
struct Row {
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
    pub fn push(&mut self, event: RunEvent) {
        self.len = self.len.saturating_add(1);
        let RunEvent::Delta { index, delta } = event else {
            self.bytes = self.bytes.saturating_add(weight(&event));
            return self.entries.push(Entry::Event(event));
        };
        self.bytes = self.bytes.saturating_add(delta.text().len().saturating_add(size_of::<usize>()));
        if let Some(Entry::Row(row)) = self.entries.last_mut()
            && row.index == index
            && row.kind.is_like(&delta)
        {
            return row.push(&delta);
        }
        let mut row = Row { index, kind: delta.with(String::new()), text: String::new(), ends: Vec::new() };
        row.push(&delta);
        self.entries.push(Entry::Row(row));
    }

    /// The next event for this reader; `None` while there is none.
    pub fn next(&self, cursor: &mut Cursor) -> Option<RunEvent> {
        let event = match self.entries.get(cursor.entry)? {
            Entry::Event(event) => {
                cursor.entry = cursor.entry.saturating_add(1);
                event.clone()
            }
            Entry::Row(row) => match row.get(cursor.piece) {
                Some(event) => {
                    cursor.piece = cursor.piece.saturating_add(1);
                    event
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
        Some(event)
    }

    /// Every event from the first one on.
    pub fn events(&self) -> impl Iterator<Item = RunEvent> {
        let mut cursor = Cursor::default();
        std::iter::from_fn(move || self.next(&mut cursor))
    }

    /// The items that are done, in the order of their indexes.
    pub fn items(&self) -> Vec<Arc<Item>> {
        let done = self.entries.iter().filter_map(|entry| match entry {
            Entry::Event(RunEvent::ItemDone { index, item }) => Some((*index, Arc::clone(item))),
            _ => None,
        });
        let mut items: Vec<_> = done.collect();
        items.sort_by_key(|(index, _)| *index);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// How it ended; `None` while it goes on.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self.entries.last()? {
            Entry::Event(RunEvent::Finished { outcome }) => Some(outcome),
            _ => None,
        }
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
    fn push(&mut self, delta: &Delta) {
        self.text.push_str(delta.text());
        self.ends.push(self.text.len());
    }

    fn get(&self, piece: usize) -> Option<RunEvent> {
        let end = *self.ends.get(piece)?;
        let start = piece.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let text = self.text.get(start..end)?;
        Some(RunEvent::Delta { index: self.index, delta: self.kind.with(text.to_owned()) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event() -> impl Strategy<Value = RunEvent> {
        let delta = (0..2u32, prop::sample::select(vec!["", "a", "é\n"]), 0..3).prop_map(|(index, text, kind)| {
            let text = text.to_owned();
            let delta = match kind {
                0 => Delta::Text(text),
                1 => Delta::Reasoning(text),
                _ => Delta::Arguments(text),
            };
            RunEvent::Delta { index, delta }
        });
        prop_oneof![6 => delta, 1 => Just(RunEvent::Started), 1 => Just(RunEvent::Finished { outcome: Outcome::Cancelled })]
    }

    proptest! {
        #[test]
        fn every_reader_gets_every_event_once_and_in_order(
            events in prop::collection::vec(event(), 0..40),
            late in 0..40usize,
        ) {
            let (mut journal, mut read, mut cursor) = (Journal::default(), Vec::new(), Cursor::default());
            for (at, event) in events.iter().enumerate() {
                journal.push(event.clone());
                if at >= late {
                    read.extend(std::iter::from_fn(|| journal.next(&mut cursor)));
                }
            }
            read.extend(std::iter::from_fn(|| journal.next(&mut cursor)));
            prop_assert_eq!(&read, &events);
            prop_assert_eq!(&journal.events().collect::<Vec<_>>(), &events);
            prop_assert_eq!((cursor.at, journal.len()), (events.len() as u64, events.len() as u64));
        }
    }
}
