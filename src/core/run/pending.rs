//! The calls of one step, until each of the server's has its output.

use super::agent::{Offer, Owner};
use super::allowance::Allowance;
use super::effect::Effect;
use super::past::{Past, Progress};
use crate::core::event::{Delta, RunEvent};
use crate::core::id::RunId;
use crate::core::item::{Item, Origin, Part, Status, ToolCall, ToolOutput};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// For the model, of a call whose end was not recorded.
const UNKNOWN: &str = "The server was interrupted while this call ran, so its outcome is unknown. It may have done all, \
                       some or nothing of its work. It was not repeated: look before you do it again.";

#[derive(Debug)]
pub(super) struct Pending {
    run: RunId,
    /// The server's calls in call order, the order in which the model gets the results back.
    server: Vec<Awaited>,
    client: Vec<String>,
}

#[derive(Debug)]
struct Awaited {
    call: Arc<ToolCall>,
    /// Index of the output among the run's items, set aside now so that the order of ends changes nothing.
    index: u32,
    output: Option<Arc<Item>>,
}

impl Pending {
    /// `base` is the index of the first output.
    pub fn new(run: RunId, items: &[Arc<Item>], base: u32) -> Self {
        let mut pending = Self { run, server: Vec::new(), client: Vec::new() };
        let mut index = base;
        for item in items {
            let Item::ToolCall(call) = item.as_ref() else { continue };
            if call.status != Status::Completed {
                continue;
            }
            if call.origin == Origin::Client {
                pending.client.push(call.call_id.clone());
                continue;
            }
            pending.server.push(Awaited { call: Arc::new(call.clone()), index, output: None });
            index = index.saturating_add(1);
        }
        pending
    }

    pub fn is_empty(&self) -> bool {
        self.server.is_empty() && self.client.is_empty()
    }

    /// Starts what can be started and `allowance` allows, and answers the rest at once.
    pub fn start(&mut self, offer: &Offer, allowance: &mut Allowance, out: &mut Vec<Effect>) {
        let calls: Vec<_> = self.server.iter().map(|awaited| (awaited.index, Arc::clone(&awaited.call))).collect();
        for (index, call) in calls {
            let item = Arc::new(self.output(index, &call.call_id, Vec::new(), false));
            out.push(Effect::Emit(RunEvent::ItemStarted { index, item }));
            self.launch(call, offer, Some(allowance), out);
        }
    }

    /// Has a call run, or answers it at once where it cannot be. A call that has been allowed before needs no allowance.
    fn launch(&mut self, call: Arc<ToolCall>, offer: &Offer, allowance: Option<&mut Allowance>, out: &mut Vec<Effect>) {
        let allowed = || allowance.map_or(Ok(()), Allowance::take);
        let problem = match offer.owner(&call.name) {
            Owner::Server => arguments_problem(&call.arguments).or_else(|| allowed().err()),
            Owner::Client | Owner::Nobody => Some(offer.unknown(&call.name)),
        };
        match problem {
            Some(text) => self.end(&call.call_id, vec![Part::text(text)], true, out),
            None => out.push(Effect::RunTool(call)),
        }
    }

    /// Every output was there before the crash.
    pub fn was_settled(&self, past: &Past) -> bool {
        self.server.iter().all(|awaited| matches!(past.output(awaited.index), Progress::Done(_)))
    }

    /// Goes on with calls that a crash has interrupted. Those that only read are made again; what became of the others,
    /// once they had begun, nobody knows.
    pub fn resume(
        &mut self,
        past: &Past,
        with_effects: &HashSet<String>,
        offer: &Offer,
        allowance: &mut Allowance,
        out: &mut Vec<Effect>,
    ) {
        let calls: Vec<_> = self.server.iter().map(|awaited| (awaited.index, Arc::clone(&awaited.call))).collect();
        for (index, call) in calls {
            let begun = past.begun.contains(&call.call_id);
            match past.output(index) {
                Progress::Done(item) => {
                    if let Some(awaited) = self.server.iter_mut().find(|awaited| awaited.index == index) {
                        awaited.output = Some(item);
                    }
                }
                Progress::Started if begun && with_effects.contains(&call.name) => {
                    self.end(&call.call_id, vec![Part::text(UNKNOWN)], true, out);
                }
                Progress::Started if begun => self.launch(call, offer, None, out),
                Progress::Started => self.launch(call, offer, Some(allowance), out),
                Progress::None => {
                    let item = Arc::new(self.output(index, &call.call_id, Vec::new(), false));
                    out.push(Effect::Emit(RunEvent::ItemStarted { index, item }));
                    self.launch(call, offer, Some(allowance), out);
                }
            }
        }
    }

    /// Notes what a call is doing, and with that that it has begun; returns the name of its tool.
    pub fn doing(&self, call_id: &str, doing: String, out: &mut Vec<Effect>) -> Option<&str> {
        let awaited = self.server.iter().find(|awaited| awaited.is_open(call_id))?;
        out.push(Effect::Emit(RunEvent::Delta { index: awaited.index, delta: Delta::Progress(doing) }));
        Some(&awaited.call.name)
    }

    /// Takes a call's output. Of two for the same call the first counts.
    pub fn end(&mut self, call_id: &str, content: Vec<Part>, failed: bool, out: &mut Vec<Effect>) {
        let Some(at) = self.server.iter().position(|awaited| awaited.is_open(call_id)) else { return };
        let Some(index) = self.server.get(at).map(|awaited| awaited.index) else { return };
        let item = Arc::new(self.output(index, call_id, content, failed));
        if let Some(awaited) = self.server.get_mut(at) {
            awaited.output = Some(Arc::clone(&item));
        }
        out.push(Effect::Emit(RunEvent::ItemDone { index, item }));
    }

    fn output(&self, index: u32, call_id: &str, content: Vec<Part>, failed: bool) -> Item {
        let id = self.run.item("fco", index);
        Item::ToolOutput(ToolOutput { id, call_id: call_id.to_owned(), content, failed, extra: Map::new() })
    }

    /// Ends every call that is still running, with words for the model.
    pub fn interrupt(&mut self, text: &str, out: &mut Vec<Effect>) {
        let open = self.server.iter().filter(|awaited| awaited.output.is_none());
        let ids: Vec<String> = open.map(|awaited| awaited.call.call_id.clone()).collect();
        for id in ids {
            self.end(&id, vec![Part::text(text)], true, out);
        }
    }

    pub fn is_settled(&self) -> bool {
        self.server.iter().all(|awaited| awaited.output.is_some())
    }

    pub fn take_outputs(&mut self) -> Vec<Arc<Item>> {
        self.server.iter_mut().filter_map(|awaited| awaited.output.take()).collect()
    }

    pub fn client_calls(&self) -> Vec<String> {
        self.client.clone()
    }
}

impl Awaited {
    fn is_open(&self, call_id: &str) -> bool {
        self.call.call_id == call_id && self.output.is_none()
    }
}

/// What to tell the model about arguments that are no JSON object.
fn arguments_problem(arguments: &str) -> Option<String> {
    let problem = match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(_)) => return None,
        Ok(_) => "they are JSON, but not an object".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "The call was not run: its arguments must be one JSON object, and {problem}. Call again with valid arguments."
    ))
}
