//! Tool activity on the chat stream: extra top-level keys on valid chunks with an empty delta. Open WebUI renders them
//! as a status line and as tool cards; every other measured client ignores them.
//!
//! The form follows what Open WebUI 0.12 does with it (`docs/streaming.md`): a card is added when the call is whole
//! and once more, under the same `call_id`, as its output. A call without an output would be run by the client, so a
//! call that was cut and never run gets no card.

use crate::core::event::{Delta, RunEvent};
use crate::core::item::{Item, Origin, Status, ToolCall, ToolOutput, in_words};
use serde::Serialize;
use std::collections::HashMap;

/// The extra keys of one chunk.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Extra {
    Status {
        event: StatusEvent,
    },
    Card {
        #[serde(rename = "type")]
        kind: &'static str,
        output_index: u32,
        item: Card,
    },
}

#[derive(Debug, PartialEq, Serialize)]
pub struct StatusEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    data: StatusData,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct StatusData {
    description: String,
    /// Always true: while it is false the line shimmers, and nothing would end that if the client stops the run. The
    /// cards have spinners of their own.
    done: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
}

/// A call or its output, in the words of the Responses API.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Card {
    FunctionCall { id: String, call_id: String, name: String, arguments: String, status: &'static str },
    FunctionCallOutput { id: String, call_id: String, output: [OutputText; 1], status: &'static str },
}

#[derive(Debug, PartialEq, Serialize)]
pub struct OutputText {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

/// Beyond the end of every list a client may keep, which means: append. The client counts items that we know nothing
/// of, so a true index cannot be given.
const AT_THE_END: u32 = 1_000_000;

/// Folds the events of server tools into extras.
#[derive(Debug, Default)]
pub struct ActivityFold {
    /// Names of the server's calls that have no output yet, by call id.
    open: HashMap<String, String>,
    /// Names of running tools by the index of their output, for the status line.
    running: HashMap<u32, String>,
    shows_status: bool,
}

impl ActivityFold {
    pub fn on(&mut self, event: &RunEvent) -> Vec<Extra> {
        match event {
            RunEvent::ItemStarted { index, item } => {
                if let Item::ToolOutput(output) = item.as_ref() {
                    let name = self.open.get(&output.call_id).cloned();
                    self.running.extend(name.map(|name| (*index, name)));
                }
                Vec::new()
            }
            RunEvent::Delta { index, delta: Delta::Progress(text) } => {
                self.running.get(index).map(|name| line(name, text)).map(|line| self.status(line)).into_iter().collect()
            }
            RunEvent::ItemDone { index, item } => match item.as_ref() {
                Item::ToolCall(call) if call.origin == Origin::Server && call.status == Status::Completed => {
                    vec![self.call(call)]
                }
                Item::ToolOutput(output) => {
                    self.running.remove(index);
                    self.output(output).into_iter().collect()
                }
                _ => Vec::new(),
            },
            RunEvent::Finished { .. } if self.shows_status => vec![status(String::new(), true)],
            _ => Vec::new(),
        }
    }

    fn status(&mut self, description: String) -> Extra {
        self.shows_status = true;
        status(description, false)
    }

    fn call(&mut self, call: &ToolCall) -> Extra {
        self.open.insert(call.call_id.clone(), call.name.clone());
        let (id, call_id, name) = (call.id.clone(), call.call_id.clone(), call.name.clone());
        card(Card::FunctionCall { id, call_id, name, arguments: call.arguments.clone(), status: "completed" })
    }

    fn output(&mut self, output: &ToolOutput) -> Option<Extra> {
        self.open.remove(&output.call_id)?;
        let text = in_words(&output.content).into_owned();
        // By this word the frontend knows to show a failure as one.
        let text = if output.failed { format!("Error: {text}") } else { text };
        let output_text = [OutputText { kind: "input_text", text }];
        let (id, call_id) = (output.id.clone(), output.call_id.clone());
        Some(card(Card::FunctionCallOutput { id, call_id, output: output_text, status: "completed" }))
    }
}

fn line(name: &str, text: &str) -> String {
    if text.is_empty() { name.to_owned() } else { format!("{name}: {text}") }
}

/// The last status of a run hides the line: nothing else would, and the cards tell the rest.
fn status(description: String, last: bool) -> Extra {
    let data = StatusData { description, done: true, hidden: last };
    Extra::Status { event: StatusEvent { kind: "status", data } }
}

fn card(item: Card) -> Extra {
    Extra::Card { kind: "response.output_item.added", output_index: AT_THE_END, item }
}
