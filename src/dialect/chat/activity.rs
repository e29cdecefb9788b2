//! Tool activity on the chat stream: extra top-level keys on valid chunks with an empty delta. Open WebUI renders them
//! as a status line and as tool cards; every other measured client ignores them.

use crate::core::event::{Delta, RunEvent};
use crate::core::item::{Item, Origin, Status, ToolCall, ToolOutput, text_of};
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
    done: bool,
}

/// A call or its output, in the words of the Responses API.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Card {
    FunctionCall { id: String, call_id: String, name: String, arguments: String, status: &'static str },
    FunctionCallOutput { id: String, call_id: String, output: Vec<OutputText>, status: &'static str },
}

#[derive(Debug, PartialEq, Serialize)]
pub struct OutputText {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

/// Folds the events of server tools into extras.
#[derive(Debug, Default)]
pub struct ActivityFold {
    /// Names of the server's calls by call id, to speak of when their output comes.
    names: HashMap<String, String>,
    /// The last status line of each call, by the index of its output.
    lines: HashMap<u32, String>,
}

impl ActivityFold {
    pub fn on(&mut self, event: &RunEvent) -> Vec<Extra> {
        match event {
            RunEvent::ItemStarted { index, item } => self.started(*index, item),
            RunEvent::Delta { index, delta: Delta::Progress(text) } => {
                let line = self.lines.entry(*index).or_default();
                let name = line.split(':').next().unwrap_or_default();
                *line = if text.is_empty() { name.to_owned() } else { format!("{name}: {text}") };
                vec![status(line.clone(), false)]
            }
            RunEvent::ItemDone { index, item } => self.done(*index, item),
            _ => Vec::new(),
        }
    }

    fn started(&mut self, index: u32, item: &Item) -> Vec<Extra> {
        match item {
            Item::ToolCall(call) if call.origin == Origin::Server => {
                self.names.insert(call.call_id.clone(), call.name.clone());
                vec![card("response.output_item.added", index, call_card(call))]
            }
            Item::ToolOutput(output) => {
                let name = self.names.get(&output.call_id).cloned().unwrap_or_default();
                self.lines.insert(index, name);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn done(&mut self, index: u32, item: &Item) -> Vec<Extra> {
        match item {
            Item::ToolCall(call) if call.origin == Origin::Server => {
                vec![card("response.output_item.done", index, call_card(call))]
            }
            Item::ToolOutput(output) => {
                let mut extras = vec![
                    card("response.output_item.added", index, output_card(output)),
                    card("response.output_item.done", index, output_card(output)),
                ];
                extras.extend(self.lines.remove(&index).map(|line| status(line, true)));
                extras
            }
            _ => Vec::new(),
        }
    }
}

fn status(description: String, done: bool) -> Extra {
    Extra::Status { event: StatusEvent { kind: "status", data: StatusData { description, done } } }
}

fn card(kind: &'static str, output_index: u32, item: Card) -> Extra {
    Extra::Card { kind, output_index, item }
}

fn call_card(call: &ToolCall) -> Card {
    let (id, call_id, name, arguments) =
        (call.id.clone(), call.call_id.clone(), call.name.clone(), call.arguments.clone());
    Card::FunctionCall { id, call_id, name, arguments, status: word(call.status) }
}

fn output_card(output: &ToolOutput) -> Card {
    let text = text_of(&output.content).into_owned();
    let output_text = vec![OutputText { kind: "input_text", text }];
    let (id, call_id) = (output.id.clone(), output.call_id.clone());
    Card::FunctionCallOutput { id, call_id, output: output_text, status: "completed" }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::InProgress => "in_progress",
        Status::Completed => "completed",
        Status::Incomplete => "incomplete",
    }
}
