//! The chat stream: run events into chunks, each one frame.

use super::activity::{ActivityFold, Extra};
use super::wire::{AnswerHead, Delta, FunctionDelta, Logprobs, ToolCallDelta, UsageObject, finish_reason};
use crate::core::event::{self, Outcome, RunEvent};
use crate::core::item::{Item, Origin, ToolCall};
use crate::core::logprob::Logprob;
use crate::core::transcript::TextJoin;
use crate::core::usage::Usage;
use crate::dialect::Projection;
use crate::dialect::activity::ToolActivity;
use crate::dialect::error::ApiError;
use crate::dialect::sse;
use bytes::Bytes;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;

/// Projects one run onto one stream: the role chunk, deltas, one finish reason, the usage if asked for, `[DONE]`.
#[derive(Debug)]
pub struct ChunkStream {
    /// Every chunk up to its delta, made once, as it never changes.
    head: Vec<u8>,
    include_usage: bool,
    usage: Usage,
    activity: Option<ActivityFold>,
    text_join: TextJoin,
    reasoning_join: TextJoin,
    /// What goes with the next piece of text.
    logprobs: Vec<Logprob>,
    /// Position among the client's calls by item index.
    client_calls: HashMap<u32, u32>,
}

/// What a chunk may have beside its delta.
#[derive(Clone, Debug, Default)]
struct Beside<'a> {
    logprobs: Option<Logprobs<'a>>,
    finish_reason: Option<&'a str>,
    extra: Option<&'a Extra>,
}

impl Projection for ChunkStream {
    fn open(&mut self) -> Vec<Bytes> {
        vec![self.chunk(&Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, Beside::default())]
    }

    fn on(&mut self, event: &RunEvent) -> Vec<Bytes> {
        let extras = self.activity.as_mut().map(|activity| activity.on(event)).unwrap_or_default();
        let beside = |extra| Beside { extra: Some(extra), ..Beside::default() };
        let mut frames: Vec<Bytes> = extras.iter().map(|extra| self.chunk(&Delta::default(), beside(extra))).collect();
        match event {
            RunEvent::ItemStarted { index, item } => frames.extend(self.started(*index, item)),
            RunEvent::Delta { index, delta } => frames.extend(self.delta(*index, delta)),
            RunEvent::StepDone { usage } | RunEvent::Spent { usage } => self.usage += *usage,
            RunEvent::Finished { outcome } => self.finished(outcome, &mut frames),
            RunEvent::Started | RunEvent::Resumed | RunEvent::ItemDone { .. } | RunEvent::Waiting { .. } => {}
        }
        frames
    }
}

impl ChunkStream {
    pub fn new(answer: &AnswerHead, include_usage: bool, activity: ToolActivity) -> Self {
        let mut head = b"data: {\"id\":".to_vec();
        write(&mut head, &answer.id);
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        write(&mut head, &answer.created);
        head.extend_from_slice(b",\"model\":");
        write(&mut head, &answer.model);
        head.extend_from_slice(b",\"choices\":[");
        let activity = (activity != ToolActivity::Hidden).then(ActivityFold::default);
        Self {
            head,
            include_usage,
            usage: Usage::default(),
            activity,
            text_join: TextJoin::default(),
            reasoning_join: TextJoin::default(),
            logprobs: Vec::new(),
            client_calls: HashMap::new(),
        }
    }

    fn started(&mut self, index: u32, item: &Item) -> Option<Bytes> {
        match item {
            Item::Message(_) => self.text_join.begin_item(),
            Item::Reasoning(_) => self.reasoning_join.begin_item(),
            _ => {}
        }
        let Item::ToolCall(ToolCall { call_id, name, origin: Origin::Client, .. }) = item else { return None };
        let position = u32::try_from(self.client_calls.len()).unwrap_or(u32::MAX);
        self.client_calls.insert(index, position);
        let function = FunctionDelta { name: Some(name), arguments: "" };
        let call = ToolCallDelta { index: position, id: Some(call_id), kind: Some("function"), function };
        Some(self.chunk(&Delta { tool_calls: Some([call]), ..Delta::default() }, Beside::default()))
    }

    fn delta(&mut self, index: u32, delta: &event::Delta) -> Option<Bytes> {
        let text;
        let mut beside = Beside::default();
        let delta = match delta {
            event::Delta::Text(piece) => {
                text = joined(self.text_join.before(piece), piece);
                beside.logprobs = Logprobs::of(std::mem::take(&mut self.logprobs));
                Delta { content: Some(&text), ..Delta::default() }
            }
            event::Delta::Logprobs(more) => {
                self.logprobs.extend_from_slice(more);
                return None;
            }
            event::Delta::Reasoning(piece) => {
                text = joined(self.reasoning_join.before(piece), piece);
                Delta { reasoning_content: Some(&text), ..Delta::default() }
            }
            event::Delta::Refusal(text) => Delta { refusal: Some(text), ..Delta::default() },
            event::Delta::Arguments(arguments) => {
                let index = *self.client_calls.get(&index)?;
                let function = FunctionDelta { name: None, arguments };
                let call = ToolCallDelta { index, id: None, kind: None, function };
                Delta { tool_calls: Some([call]), ..Delta::default() }
            }
            event::Delta::Progress(_) => return None,
        };
        Some(self.chunk(&delta, beside))
    }

    fn finished(&self, outcome: &Outcome, frames: &mut Vec<Bytes>) {
        let reason = match finish_reason(outcome) {
            Ok(reason) => reason,
            Err(told) => return frames.push(error(&told)),
        };
        let beside = Beside { finish_reason: Some(reason), ..Beside::default() };
        frames.push(self.chunk(&Delta::default(), beside));
        if self.include_usage {
            frames.push(self.usage());
        }
        frames.push(sse::DONE);
    }

    fn chunk(&self, delta: &Delta<'_>, beside: Beside<'_>) -> Bytes {
        let mut frame = Vec::with_capacity(self.head.len().saturating_add(160));
        frame.extend_from_slice(&self.head);
        frame.extend_from_slice(b"{\"index\":0,\"delta\":");
        write(&mut frame, delta);
        frame.extend_from_slice(b",\"logprobs\":");
        write(&mut frame, &beside.logprobs);
        frame.extend_from_slice(b",\"finish_reason\":");
        write(&mut frame, &beside.finish_reason);
        frame.extend_from_slice(b"}]");
        if self.include_usage {
            frame.extend_from_slice(b",\"usage\":null");
        }
        if let Some(extra) = beside.extra {
            // The extra's keys stand beside ours: its own braces are dropped.
            let start = frame.len();
            write(&mut frame, extra);
            if let Some(brace) = frame.get_mut(start) {
                *brace = b',';
            }
            frame.pop();
        }
        frame.extend_from_slice(b"}\n\n");
        frame.into()
    }

    fn usage(&self) -> Bytes {
        let mut frame = self.head.clone();
        frame.extend_from_slice(b"],\"usage\":");
        write(&mut frame, &UsageObject::from(self.usage));
        frame.extend_from_slice(b"}\n\n");
        frame.into()
    }
}

/// The one frame that tells of a failure after the stream has begun. Nothing follows it.
pub fn error(error: &ApiError) -> Bytes {
    let mut json = Vec::new();
    write(&mut json, &error.body());
    sse::data(&json)
}

fn joined<'a>(before: &str, piece: &'a str) -> Cow<'a, str> {
    if before.is_empty() { Cow::Borrowed(piece) } else { Cow::Owned(format!("{before}{piece}")) }
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing plain structs and strings into memory has no error to give.
    let _ = serde_json::to_writer(out, value);
}
