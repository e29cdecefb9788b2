//! The events of the Responses stream, and the stream as frames.

use super::content::Content;
use super::fold::{Fold, Head};
use super::items::WireItem;
use super::resource::Resource;
use crate::core::event::RunEvent;
use crate::core::logprob::Logprob;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<usize>,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    Response { response: Box<Resource> },
    Item { item: WireItem },
    Part { part: Content },
    TextDelta { delta: String, logprobs: Vec<Logprob> },
    Delta { delta: String },
    WholeText { text: String, logprobs: Vec<Logprob> },
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
}

/// Projects one run onto one stream.
pub struct EventStream {
    fold: Fold,
    next: u64,
}

impl EventStream {
    pub fn new(head: Head) -> Self {
        Self { fold: Fold::new(head), next: 0 }
    }

    fn frame(&mut self, event: &Event) -> Bytes {
        let numbered = Numbered { event, sequence_number: self.next };
        self.next = self.next.saturating_add(1);
        // Writing plain structs and strings into memory has no error to give.
        sse::event(event.kind, &serde_json::to_vec(&numbered).unwrap_or_default())
    }
}

impl Projection for EventStream {
    fn open(&mut self) -> Vec<Bytes> {
        self.fold.open().iter().map(|event| self.frame(event)).collect()
    }

    fn on(&mut self, event: &RunEvent) -> Vec<Bytes> {
        let mut frames: Vec<Bytes> = self.fold.on(event).iter().map(|event| self.frame(event)).collect();
        if matches!(event, RunEvent::Finished { .. }) {
            frames.push(sse::DONE);
        }
        frames
    }
}
