//! The dialect over a real run: requests in, whole streams out.

mod fields;
mod items;
mod properties;
mod requests;
mod streams;

use super::events::{EventStream, Numbering};
use super::fold::{EndTime, Fold, Head};
use super::history::History;
use super::record::Record;
use super::request;
use crate::core::event::RunEvent;
use crate::core::id::RunId;
use crate::core::item::Part;
use crate::core::journal::{Journal, Told};
use crate::core::logprob::{Likely, Logprob};
use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::{ToolCallFragment, UpstreamEvent};
use crate::core::run::{Agent, Effect, Input, Limits, Machine, ToolDone};
use crate::dialect::Projection;
use crate::dialect::activity::ToolActivity;
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), ..ToolSpec::default() }
}

/// A run of an agent with a reading tool `look` and a writing tool `act`, seen in every way a client can see it.
struct Shown {
    body: Value,
    machine: Machine,
    stream: EventStream,
    fold: Fold,
    record: Record,
    numbering: Numbering,
    journal: Journal,
    frames: Vec<String>,
}

impl Shown {
    fn new(body: Value, activity: ToolActivity) -> Self {
        let run = RunId::new(uuid::Uuid::nil());
        let tools = [tool("look"), tool("act")].into();
        let limits = Limits { steps: 3, ..Limits::default() };
        let agent = Agent { tools, with_effects: Arc::new(["act".to_owned()].into()), limits, ..Agent::default() };
        let mut asked = request::parse(body.clone()).unwrap();
        asked.adopt(&Map::new());
        let machine = Machine::new(run, Arc::new(agent), asked.spec(&History::default()).unwrap()).unwrap();
        let settings = Arc::new(asked.settings);
        let (id, model) = ("resp_1".to_owned(), "m".to_owned());
        let view = asked.view;
        let head = Head { id, created_at: 7, model, settings, activity, view, ended: EndTime::by(|| 9) };
        let mut shown = Self {
            body,
            machine,
            stream: EventStream::new(head.clone()),
            fold: Fold::new(head.clone()),
            numbering: Numbering::new(head.clone()),
            record: Record::new(run, head, asked.input),
            journal: Journal::default(),
            frames: Vec::new(),
        };
        let opening = shown.stream.open();
        shown.write(&opening);
        shown
    }

    fn feed(&mut self, inputs: impl IntoIterator<Item = Input>) {
        self.play([Input::Submitted].into_iter().chain(inputs));
    }

    fn play(&mut self, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            for effect in self.machine.on(input) {
                if let Effect::Emit(event) = effect {
                    self.see(&event);
                }
            }
        }
    }

    fn see(&mut self, event: &RunEvent) {
        self.fold.on(event);
        self.journal.push(Told { sequence: self.numbering.number(event), event: event.clone() });
        let frames = self.stream.on(event);
        self.write(&frames);
    }

    fn write(&mut self, frames: &[bytes::Bytes]) {
        self.frames.extend(frames.iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()));
    }
}

fn upstream(event: UpstreamEvent) -> Input {
    Input::Upstream(event)
}

fn text(text: &str) -> Input {
    upstream(UpstreamEvent::Text(text.into()))
}

fn sealed(index: u32) -> Input {
    let piece = json!({"type": "reasoning.encrypted", "data": "AA", "index": index}).as_object().cloned().unwrap();
    upstream(UpstreamEvent::Sealed { maker: "m".into(), piece })
}

fn likely(token: &str) -> Input {
    let token = Likely { token: token.into(), logprob: -0.25, bytes: token.as_bytes().to_vec() };
    upstream(UpstreamEvent::Logprobs(vec![Logprob { top_logprobs: vec![token.clone()], token }]))
}

fn call(index: u32, name: &str, arguments: &str) -> Input {
    let (index, id, name) = (Some(index), Some(format!("c{index}")), Some(name.to_owned()));
    let arguments = arguments.to_owned();
    upstream(UpstreamEvent::ToolCall(ToolCallFragment { index, id, name, arguments, ..Default::default() }))
}

/// The `number`th call has begun.
fn begun(number: u32) -> Input {
    Input::ToolDoing { call_id: RunId::new(uuid::Uuid::nil()).call(number), doing: "it".into() }
}

/// The end of the `number`th call.
fn done(number: u32, text: &str) -> Input {
    let call_id = RunId::new(uuid::Uuid::nil()).call(number);
    Input::ToolDone(ToolDone { call_id, result: Ok(vec![Part::text(text)]) })
}

const CLOSED: Input = Input::UpstreamClosed(Ok(()));

fn asked() -> Value {
    json!({"model": "m", "input": "go"})
}
