//! The rehearsal's own words.

use super::super::request::Body;
use super::turn::Turn;
use crate::core::format::FormatSupport;
use crate::core::item::{Item, Role, in_words, text_of};
use crate::core::ports::upstream::ModelRequest;
use crate::core::run::SUMMARY_INSTRUCTIONS;
use serde_json::{Map, Value};

/// How much of a tool's output a summary repeats.
const MAX_OUTPUT: usize = 2000;

/// How much of a question a summary of the conversation repeats.
const MAX_LINE: usize = 80;

/// What of a request a script can have said back, in the form in which a chat server would have got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    System,
    Tools,
    Choice,
    Output,
    Params,
    Messages,
    Request,
}

impl Echo {
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "system" => Ok(Self::System),
            "tools" => Ok(Self::Tools),
            "choice" => Ok(Self::Choice),
            "output" => Ok(Self::Output),
            "params" => Ok(Self::Params),
            "messages" => Ok(Self::Messages),
            "request" => Ok(Self::Request),
            _ => Err("expected system, tools, choice, output, params, messages or request".to_owned()),
        }
    }

    /// Text as it is, all else as JSON; what is not there is `null`.
    pub fn of(self, request: &ModelRequest) -> String {
        let format_support = FormatSupport::Passed;
        let body = Body { model: "rehearsal", maker: "rehearsal", request, limit_field: "max_tokens", format_support };
        let written = body.written().map(|body| body.joined());
        let mut body: Map<String, Value> = written.and_then(|body| serde_json::from_slice(&body)).unwrap_or_default();
        let mut take = |key: &str| body.remove(key).unwrap_or_default();
        let found = match self {
            Self::System => {
                take("messages").as_array().and_then(|all| content(all.first()?, "system")).unwrap_or_default()
            }
            Self::Output => {
                let messages = take("messages");
                messages
                    .as_array()
                    .and_then(|all| all.iter().rev().find_map(|one| content(one, "tool")))
                    .unwrap_or_default()
            }
            Self::Tools => {
                let tools = take("tools");
                let name = |tool: &Value| tool.pointer("/function/name").cloned();
                tools.as_array().map(|tools| tools.iter().filter_map(name).collect()).unwrap_or_default()
            }
            Self::Choice => take("tool_choice"),
            Self::Messages => take("messages"),
            Self::Params => {
                body.retain(|key, _| {
                    !["model", "messages", "stream", "stream_options", "tools", "tool_choice"].contains(&key.as_str())
                });
                Value::Object(body)
            }
            Self::Request => Value::Object(body),
        };
        match found {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }
}

fn content(message: &Value, role: &str) -> Option<Value> {
    (message.get("role")? == role).then(|| message.get("content").cloned())?
}

/// What a message that is no script is told.
pub fn introduction() -> &'static str {
    "This is nuncio's rehearsal: no language model, but a player of small scripts, so that everything around a model \
     can be tried without one. Send `run: ls -la` and it has that command run; docs/rehearsal.md has all it can do.\n\n\
     For real answers give nuncio a model: set OPENAI_API_KEY or OPENROUTER_API_KEY, or NUNCIO_UPSTREAM_BASE_URL, \
     NUNCIO_UPSTREAM_API_KEY and NUNCIO_UPSTREAM_MODEL for any server that speaks the chat completions API, or start \
     Ollama on this machine. Then start nuncio again."
}

/// The answer once the script has been played.
pub fn summary(turn: &Turn<'_>) -> String {
    format!("Done. {}", outputs(turn))
}

/// The answer where the script goes on but no more tools may be called.
pub fn where_it_stands(turn: &Turn<'_>, total: usize) -> String {
    format!("No more tools may be called, so this stops after {} of {total} steps. {}", turn.steps, outputs(turn))
}

/// The answer where the script wants a tool and none is offered.
pub fn no_tools(name: &str) -> String {
    format!("I would call `{name}` now, but no tools are offered.")
}

/// Frontends ask models to title and tag conversations; `None` if this is no such request.
pub fn housekeeping(request: &ModelRequest, question: &str) -> Option<&'static str> {
    if question.trim_start().starts_with("### Task:") {
        let answers = [
            ("follow_ups", r#"{"follow_ups": []}"#),
            ("\"tags\"", r#"{"tags": ["Rehearsal"]}"#),
            ("\"queries\"", r#"{"queries": []}"#),
        ];
        let known = answers.iter().find(|(word, _)| question.contains(word));
        return Some(known.map_or(r#"{"title": "Rehearsal"}"#, |(_, answer)| answer));
    }
    Echo::System.of(request).contains("title generator").then_some("Rehearsal")
}

/// The answer where the conversation is to be summed up; `None` if that is not asked.
pub fn sum_up(request: &ModelRequest) -> Option<String> {
    request.instructions.as_deref().filter(|text| text.starts_with(SUMMARY_INSTRUCTIONS))?;
    let mut asked: Vec<String> = request.items.iter().filter_map(|item| first_line(item)).collect();
    // The last message asks for this.
    asked.pop();
    Some(format!("The rehearsal was asked:{}", asked.concat()))
}

fn first_line(item: &Item) -> Option<String> {
    match item {
        Item::Message(message) if message.role == Role::User => {
            let text = text_of(&message.content);
            let line: String = text.lines().next().unwrap_or_default().chars().take(MAX_LINE).collect();
            Some(format!("\n- {line}"))
        }
        _ => None,
    }
}

fn outputs(turn: &Turn<'_>) -> String {
    let mut text = "What the tools said:".to_owned();
    for (name, output) in &turn.outputs {
        let said = in_words(&output.content);
        let short: String = said.chars().take(MAX_OUTPUT).collect();
        let cut = if short.len() < said.len() { " …" } else { "" };
        let failed = if output.failed { " (failed)" } else { "" };
        text.push_str(&format!("\n\n{name}{failed}:\n{}{cut}", short.trim_end()));
    }
    text
}
