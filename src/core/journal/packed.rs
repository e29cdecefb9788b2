//! A journal as text, for the disk: rows of deltas stay rows, and an item that is no more than its deltas is not written
//! a second time when it is done.

use super::{Entry, Journal, Row, Told};
use crate::core::event::{Delta, RunEvent};
use crate::core::item::{Item, Status};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// What is read is not what [`Journal::pack`] writes.
#[derive(Debug, thiserror::Error)]
#[error("a journal cannot be read: {0}")]
pub struct Unreadable(String);

/// One entry. The names are short because there are many.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Packed<'a> {
    Row {
        #[serde(rename = "n")]
        sequence: u64,
        #[serde(rename = "i")]
        index: u32,
        #[serde(rename = "k")]
        kind: Kind,
        #[serde(rename = "t")]
        text: Cow<'a, str>,
        /// Bytes of each delta.
        #[serde(rename = "l")]
        lengths: Vec<usize>,
    },
    /// An item as its deltas have made it.
    Done {
        #[serde(rename = "n")]
        sequence: u64,
        #[serde(rename = "d")]
        index: u32,
        #[serde(rename = "s")]
        status: Status,
    },
    Event {
        #[serde(rename = "n")]
        sequence: u64,
        #[serde(rename = "e")]
        event: Cow<'a, RunEvent>,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "t")]
    Text,
    #[serde(rename = "r")]
    Refusal,
    #[serde(rename = "h")]
    Reasoning,
    #[serde(rename = "a")]
    Arguments,
    #[serde(rename = "p")]
    Progress,
}

impl Journal {
    /// The text that [`Journal::unpack`] reads.
    pub fn pack(&self) -> String {
        let mut growing = Growing::default();
        let entries: Vec<Packed<'_>> = self.entries.iter().map(|entry| growing.pack(entry)).collect();
        // Writing plain structs and strings into memory has no error to give.
        serde_json::to_string(&entries).unwrap_or_default()
    }

    pub fn unpack(text: &str) -> Result<Self, Unreadable> {
        let packed: Vec<Packed<'_>> = serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))?;
        let (mut journal, mut growing) = (Self::default(), Growing::default());
        for entry in packed {
            for told in growing.unpack(entry)? {
                journal.push(told);
            }
        }
        Ok(journal)
    }
}

/// The items that are open where the reader stands.
#[derive(Default)]
struct Growing(HashMap<u32, Item>);

impl Growing {
    fn see(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ItemStarted { index, item } => drop(self.0.insert(*index, Item::clone(item))),
            RunEvent::Delta { index, delta } => {
                if let Some(item) = self.0.get_mut(index) {
                    delta.add_to(item);
                }
            }
            RunEvent::ItemDone { index, .. } => drop(self.0.remove(index)),
            _ => {}
        }
    }

    /// The item as it has grown, now done.
    fn done(&self, index: u32, status: Status) -> Option<Item> {
        let mut item = self.0.get(&index)?.clone();
        match &mut item {
            Item::Message(message) => message.status = status,
            Item::Reasoning(reasoning) => reasoning.status = status,
            Item::ToolCall(call) => call.status = status,
            _ => return None,
        }
        Some(item)
    }

    fn pack<'a>(&mut self, entry: &'a Entry) -> Packed<'a> {
        let Told { sequence, event } = match entry {
            Entry::Row(row) => {
                if let Some(item) = self.0.get_mut(&row.index) {
                    row.kind.with(row.text.clone()).add_to(item);
                }
                return pack_row(row);
            }
            Entry::Event(told) => told,
        };
        let short = match event {
            RunEvent::ItemDone { index, item } => status_of(item).and_then(|status| {
                let same = self.done(*index, status).is_some_and(|grown| grown == **item);
                same.then_some(Packed::Done { sequence: *sequence, index: *index, status })
            }),
            _ => None,
        };
        self.see(event);
        short.unwrap_or(Packed::Event { sequence: *sequence, event: Cow::Borrowed(event) })
    }

    fn unpack(&mut self, entry: Packed<'_>) -> Result<Vec<Told>, Unreadable> {
        let told = match entry {
            Packed::Event { sequence, event } => vec![Told { sequence, event: event.into_owned() }],
            Packed::Done { sequence, index, status } => {
                let item = self.done(index, status).ok_or_else(|| Unreadable(format!("item {index} never began")))?;
                vec![Told { sequence, event: RunEvent::ItemDone { index, item: Arc::new(item) } }]
            }
            Packed::Row { sequence, index, kind, text, lengths } => {
                let mut rest = text.as_ref();
                let mut row = Vec::with_capacity(lengths.len());
                for (length, sequence) in lengths.into_iter().zip(sequence..) {
                    let (piece, after) =
                        rest.split_at_checked(length).ok_or_else(|| Unreadable("a row is cut wrongly".to_owned()))?;
                    row.push(Told { sequence, event: RunEvent::Delta { index, delta: kind.of(piece) } });
                    rest = after;
                }
                row
            }
        };
        told.iter().for_each(|told| self.see(&told.event));
        Ok(told)
    }
}

fn pack_row(row: &Row) -> Packed<'_> {
    let kind = match row.kind {
        Delta::Text(_) => Kind::Text,
        Delta::Refusal(_) => Kind::Refusal,
        Delta::Reasoning(_) => Kind::Reasoning,
        Delta::Arguments(_) => Kind::Arguments,
        Delta::Progress(_) => Kind::Progress,
    };
    let starts = [0].into_iter().chain(row.ends.iter().copied());
    let lengths = row.ends.iter().zip(starts).map(|(end, start)| end.saturating_sub(start)).collect();
    Packed::Row { sequence: row.sequence, index: row.index, kind, text: Cow::Borrowed(&row.text), lengths }
}

fn status_of(item: &Item) -> Option<Status> {
    match item {
        Item::Message(message) => Some(message.status),
        Item::Reasoning(reasoning) => Some(reasoning.status),
        Item::ToolCall(call) => Some(call.status),
        _ => None,
    }
}

impl Kind {
    fn of(self, text: &str) -> Delta {
        let text = text.to_owned();
        match self {
            Self::Text => Delta::Text(text),
            Self::Refusal => Delta::Refusal(text),
            Self::Reasoning => Delta::Reasoning(text),
            Self::Arguments => Delta::Arguments(text),
            Self::Progress => Delta::Progress(text),
        }
    }
}
