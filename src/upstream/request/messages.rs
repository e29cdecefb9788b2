//! Turns items into chat messages: one leading system message, and one assistant message for each step.

mod content;

use crate::core::item::{Item, Message, Part, Role, ToolCall, ToolOutput, in_words};
use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::ModelRequest;
use crate::core::sealed::{Block, Sealed};
use content::Content;
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// A message as it is sent.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ChatMessage<'a> {
    Said(Said<'a>),
    ToolOutput {
        role: &'static str,
        tool_call_id: &'a str,
        content: Cow<'a, str>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    /// A message of a role we do not know, as the client sent it.
    Verbatim(&'a Value),
}

/// What anyone but a tool said; the model also thinks and calls.
#[derive(Serialize)]
pub struct Said<'a> {
    role: &'static str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Block>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
}

/// Further keys of a message or a call, without those that are written from elsewhere.
pub struct Extra<'a>(Option<&'a Map<String, Value>>);

impl<'a> Extra<'a> {
    /// Of messages that become one, the first with such keys speaks for all: a key may stand only once.
    fn of(messages: &[&'a Message]) -> Self {
        Self(messages.iter().map(|message| &message.extra).find(|extra| !extra.is_empty()))
    }

    fn has(&self, key: &str) -> bool {
        self.0.is_some_and(|extra| extra.contains_key(key))
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const OURS: [&str; 8] =
            ["role", "content", "reasoning_content", "tool_calls", "tool_call_id", "id", "type", "function"];
        serializer.collect_map(self.0.into_iter().flatten().filter(|(key, _)| !OURS.contains(&key.as_str())))
    }
}

/// All messages of a call. `more` goes after the instructions.
pub fn of<'a>(request: &'a ModelRequest, maker: &'a str, more: Option<&'a str>) -> Vec<ChatMessage<'a>> {
    let leading: Vec<&Message> = request.items.iter().map_while(system_message).collect();
    let rest = request.items.get(leading.len()..).unwrap_or_default();
    let instructions = request.instructions.as_deref().into_iter().chain(more).filter(|text| !text.is_empty());
    let instructions: Vec<&str> = instructions.collect();
    let messages = Vec::with_capacity(rest.len() + 1);
    let (step, called, images) = Default::default();
    let mut writer = Writer { tools: &request.tools, maker, messages, step, called, images };
    if !instructions.is_empty() || !leading.is_empty() {
        writer.say("system", Content::leading(&instructions, &leading), Extra::of(&leading));
    }
    // Reasoning goes back within the current turn alone: there some models need it, elsewhere some refuse it.
    let turn = rest.iter().rposition(is_question).unwrap_or(0);
    for (at, item) in rest.iter().enumerate() {
        writer.add(item, at >= turn);
    }
    writer.end_step();
    writer.show_images();
    writer.messages
}

fn system_message(item: &Arc<Item>) -> Option<&Message> {
    match item.as_ref() {
        Item::Message(message) if matches!(message.role, Role::System | Role::Developer) => Some(message),
        _ => None,
    }
}

fn is_question(item: &Arc<Item>) -> bool {
    matches!(item.as_ref(), Item::Message(Message { role: Role::User, .. }))
}

struct Writer<'a> {
    tools: &'a [ToolSpec],
    maker: &'a str,
    messages: Vec<ChatMessage<'a>>,
    /// The assistant message being put together.
    step: Step<'a>,
    /// The calls of the last one.
    called: Vec<&'a ToolCall>,
    /// The images in the outputs of its calls, with what is said of each. They come after the last output, for the
    /// outputs of one message must follow it without a gap.
    images: Vec<(String, &'a Part)>,
}

/// What the model said, thought and called in one go.
#[derive(Default)]
struct Step<'a> {
    messages: Vec<&'a Message>,
    reasoning: String,
    /// What of the reasoning the model itself has sealed. It holds all of it, so the text is not sent beside it.
    sealed: Option<Sealed>,
    calls: Vec<&'a ToolCall>,
}

impl<'a> Writer<'a> {
    fn add(&mut self, item: &'a Item, in_turn: bool) {
        if !matches!(item, Item::ToolOutput(_)) {
            self.show_images();
        }
        match item {
            Item::Message(message) if message.role == Role::Assistant => {
                // Text after calls belongs to their step; two texts in a row are two messages of the client's.
                if !self.step.messages.is_empty() && self.step.calls.is_empty() {
                    self.end_step();
                }
                self.step.messages.push(message);
            }
            Item::Message(message) => {
                self.end_step();
                let role = if message.role == Role::User { "user" } else { "system" };
                self.say(role, Content::of(&message.content), Extra(Some(&message.extra)));
            }
            Item::Reasoning(reasoning) if in_turn => {
                self.step.reasoning.push_str(&reasoning.text);
                if let Some(sealed) = reasoning.sealed.as_ref().filter(|sealed| sealed.maker == self.maker) {
                    match &mut self.step.sealed {
                        Some(all) => all.extend(sealed),
                        none => *none = Some(sealed.clone()),
                    }
                }
            }
            Item::Reasoning(_) => {}
            Item::ToolCall(call) => self.step.calls.push(call),
            Item::ToolOutput(output) => {
                self.end_step();
                let (tool_call_id, extra) = (output.call_id.as_str(), Extra(Some(&output.extra)));
                let content = in_words(&output.content);
                self.messages.push(ChatMessage::ToolOutput { role: "tool", tool_call_id, content, extra });
                self.put_images_aside(output);
            }
            // Only what was a chat message can be one again; other dialects' items say nothing to this server.
            Item::Opaque { value } if value.get("role").is_some() && value.get("type").is_none() => {
                self.end_step();
                self.messages.push(ChatMessage::Verbatim(value));
            }
            // The run has made a message of its summary.
            Item::Compaction(_) | Item::Opaque { .. } => {}
        }
    }

    fn put_images_aside(&mut self, output: &'a ToolOutput) {
        let tool = self.called.iter().find(|call| call.call_id == output.call_id).map_or("a tool", |call| &call.name);
        let images = output.content.iter().filter(|part| matches!(part, Part::Image { .. }));
        let label = format!("The image that {tool} gave (call {}):", output.call_id);
        self.images.extend(images.map(|image| (label.clone(), image)));
    }

    fn show_images(&mut self) {
        if !self.images.is_empty() {
            let content = Content::shown(&std::mem::take(&mut self.images));
            self.say("user", content, Extra(None));
        }
    }

    fn say(&mut self, role: &'static str, content: Content<'a>, extra: Extra<'a>) {
        let (reasoning_content, reasoning_details, tool_calls) = Default::default();
        self.messages.push(ChatMessage::Said(Said {
            role,
            content,
            reasoning_content,
            reasoning_details,
            tool_calls,
            extra,
        }));
    }

    fn end_step(&mut self) {
        let Step { messages, reasoning, sealed, calls } = std::mem::take(&mut self.step);
        // Reasoning alone left nothing that an answer could build on.
        if messages.is_empty() && calls.is_empty() {
            return;
        }
        self.called.clone_from(&calls);
        let extra = Extra::of(&messages);
        // A chat client that sends them itself has the last word.
        let sealed = sealed.filter(|_| !extra.has("reasoning_details"));
        self.messages.push(ChatMessage::Said(Said {
            role: "assistant",
            content: Content::said(&messages, !calls.is_empty()),
            reasoning_content: if sealed.is_some() { String::new() } else { reasoning },
            reasoning_details: sealed.map(|sealed| sealed.blocks).unwrap_or_default(),
            tool_calls: calls.into_iter().map(|call| Call::new(call, self.tools)).collect(),
            extra,
        }));
    }
}

impl<'a> Call<'a> {
    fn new(call: &'a ToolCall, tools: &[ToolSpec]) -> Self {
        let offered = tools.iter().any(|tool| tool.name == call.name);
        let name = if offered { Cow::Borrowed(call.name.as_str()) } else { sendable_name(&call.name) };
        let function = Function { name, arguments: sendable_arguments(&call.arguments) };
        Self { id: &call.call_id, kind: "function", function, extra: Extra(Some(&call.extra)) }
    }
}

/// A name the model made up, in the letters that every server allows: one bad name must not spoil the history.
fn sendable_name(name: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match name {
        "" => Cow::Borrowed("unnamed"),
        name if name.len() <= 64 && name.chars().all(allowed) => Cow::Borrowed(name),
        name => Cow::Owned(name.chars().take(64).map(|c| if allowed(c) { c } else { '_' }).collect()),
    }
}

/// Arguments that are surely a JSON object, since many servers parse them to fill their chat template.
fn sendable_arguments(raw: &str) -> Cow<'_, str> {
    let text = raw.trim_start();
    if text.is_empty() {
        Cow::Borrowed("{}")
    } else if text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(json!({"invalid_arguments": raw}).to_string())
    }
}
