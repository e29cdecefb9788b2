//! The events of the Responses stream, and the stream as frames of whatever carries it.

use super::content::Content;
use super::fold::{Fold, Head};
use super::items::WireItem;
use super::resource::Resource;
use crate::core::event::RunEvent;
use crate::dialect::{Projection, sse};
use bytes::Bytes;
use serde::Serialize;

/// One event. `sequence_number` is added when it is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(flatten)]
    pub place: Place,
    #[serde(flatten)]
    pub body: Body,
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<usize>,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    Response { response: Box<Resource> },
    Item { item: WireItem },
    Part { part: Content },
    TextDelta { delta: String, logprobs: [(); 0] },
    Delta { delta: String },
    WholeText { text: String, logprobs: [(); 0] },
    Text { text: String },
    Refusal { refusal: String },
    Arguments { arguments: String },
    Nothing {},
}

#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(flatten)]
    event: &'a Event,
    sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<&'a str>,
}

/// What an event is written for.
enum Carrier {
    Sse,
    /// A WebSocket: each event is a message, and says where it belongs if the client had a word for that.
    Messages {
        stream_id: Option<String>,
    },
}

/// Projects one run onto one stream.
pub struct EventStream {
    fold: Fold,
    carrier: Carrier,
    /// The number of the next event.
    next: u64,
    /// The first number that this client has not had yet.
    from: u64,
}

/// Counts the frames of a stream without writing them, to give each event of a run the number of its first one.
pub struct Numbering {
    fold: Fold,
    next: u64,
}

impl Numbering {
    pub fn new(head: Head) -> Self {
        let fold = Fold::new(head);
        let next = fold.open().len() as u64;
        Self { fold, next }
    }

    pub fn number(&mut self, event: &RunEvent) -> u64 {
        let frames = self.fold.on(event).len() as u64;
        let first = self.next;
        self.next = first.saturating_add(frames);
        first
    }
}

impl EventStream {
    pub fn new(head: Head) -> Self {
        Self::after(head, None)
    }

    /// The stream for a client that has had everything up to this number.
    pub fn after(head: Head, seen: Option<u64>) -> Self {
        let from = seen.map_or(0, |seen| seen.saturating_add(1));
        Self { fold: Fold::new(head), carrier: Carrier::Sse, next: 0, from }
    }

    /// The same as messages of a WebSocket.
    pub fn as_messages(self, stream_id: Option<String>) -> Self {
        Self { carrier: Carrier::Messages { stream_id }, ..self }
    }

    fn frames(&mut self, events: &[Event]) -> Vec<Bytes> {
        events.iter().filter_map(|event| self.frame(event)).collect()
    }

    fn frame(&mut self, event: &Event) -> Option<Bytes> {
        let sequence_number = self.next;
        self.next = sequence_number.saturating_add(1);
        // Writing plain structs and strings into memory has no error to give.
        let json = |stream_id| serde_json::to_vec(&Numbered { event, sequence_number, stream_id }).unwrap_or_default();
        (sequence_number >= self.from).then(|| match &self.carrier {
            Carrier::Sse => sse::event(event.kind, &json(None)),
            Carrier::Messages { stream_id } => json(stream_id.as_deref()).into(),
        })
    }
}

impl Projection for EventStream {
    fn open(&mut self) -> Vec<Bytes> {
        let events = self.fold.open();
        self.frames(&events)
    }

    fn number(&mut self, sequence: u64) {
        // A run that keeps no response counts its events. It is told once, from its beginning, so our own count holds.
        if self.fold.is_stored() {
            self.next = sequence;
        }
    }

    fn on(&mut self, event: &RunEvent) -> Vec<Bytes> {
        let events = self.fold.on(event);
        let mut frames = self.frames(&events);
        if matches!((event, &self.carrier), (RunEvent::Finished { .. }, Carrier::Sse)) {
            frames.push(sse::DONE);
        }
        frames
    }
}
