//! The `input` of a request into items.

use super::items::{OWN_LABEL, call_id_of};
use super::sealed::unseal;
use super::text::one_of;
use super::{content, hosted};
use crate::core::item::{
    Compaction, Item, Message, Origin, Part, Phase, Reasoning, Role, Status, ToolCall, ToolHome, ToolOutput,
};
use crate::dialect::error::{ApiError, excerpt};
use crate::dialect::fields::{Check, Fields, wrong};
use serde_json::{Map, Value, json};
use std::sync::Arc;

type Parsed<T> = Result<T, ApiError>;

/// What a request brings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Input {
    pub items: Vec<Arc<Item>>,
    pub references: Vec<Reference>,
}

/// An item that the request names by its id alone, as the client was shown it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    /// How many of the items go before it.
    pub at: usize,
    pub id: String,
}

/// Reads `input`: a string is what the user says.
pub(super) fn parse(input: Value) -> Parsed<Input> {
    match input {
        Value::String(text) => {
            Ok(Input { items: vec![Arc::new(Item::Message(Message::of(Role::User, text)))], references: Vec::new() })
        }
        Value::Array(values) if values.is_empty() => {
            Err(ApiError::invalid("input", "`input` must hold at least one item."))
        }
        Value::Array(values) => read(values, "input"),
        other => Err(wrong("input", "a string or an array of items", &other)),
    }
}

/// Reads a list of items, each of which is there itself; `path` is where it stands.
pub(super) fn items(values: Vec<Value>, path: &str) -> Parsed<Vec<Arc<Item>>> {
    let Input { items, references } = read(values, path)?;
    match references.first() {
        Some(reference) => {
            let message =
                format!("`{path}` may hold no `item_reference` (`{}`): send the item itself.", excerpt(&reference.id));
            Err(ApiError::invalid(path, message))
        }
        None => Ok(items),
    }
}

fn read(values: Vec<Value>, path: &str) -> Parsed<Input> {
    let mut input = Input::default();
    for (at, value) in values.into_iter().enumerate() {
        item(Fields::of(value, format!("{path}[{at}]"))?, &mut input)?;
    }
    Ok(input)
}

fn item(mut fields: Fields, input: &mut Input) -> Parsed<()> {
    let path = fields.path("type");
    fields.check("status", Check::String)?;
    let kind = kind(&mut fields)?;
    let item = match kind.as_str() {
        "message" => message(fields)?,
        "function_call" => Item::ToolCall(function_call(fields)?),
        "function_call_output" | "custom_tool_call_output" => Item::ToolOutput(function_call_output(fields)?),
        "custom_tool_call" => Item::ToolCall(custom_tool_call(fields)?),
        "reasoning" => match reasoning(fields)? {
            Some(reasoning) => Item::Reasoning(reasoning),
            None => return Ok(()),
        },
        "compaction" => Item::Compaction(compaction(fields)?),
        "mcp_call" => return mcp_call(fields, input),
        "item_reference" => {
            let (at, id) = (input.items.len(), fields.need_string("id")?);
            input.references.push(Reference { at, id });
            return Ok(());
        }
        kind if hosted::is_known(kind) => {
            fields.check("id", Check::String)?;
            hosted::item(kind.to_owned(), fields.rest())
        }
        _ => {
            let message =
                format!("`{path}` names an item that is not supported; docs/responses.md lists those that are.");
            return Err(ApiError::invalid(path, message));
        }
    };
    input.items.push(Arc::new(item));
    Ok(())
}

/// Clients leave out the type of messages, and of references.
fn kind(fields: &mut Fields) -> Parsed<String> {
    match fields.take_string("type")? {
        Some(kind) => Ok(kind),
        None if fields.has("role") => Ok("message".to_owned()),
        None if fields.holds_only("id") => Ok("item_reference".to_owned()),
        None => Err(fields.missing("type", "the kind of the item, such as `message`")),
    }
}

fn message(mut fields: Fields) -> Parsed<Item> {
    let path = fields.path("role");
    let role = match fields.need_string("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => {
            let message =
                format!("`{path}` `tool` is for chat completions: send an item of type `function_call_output`.");
            return Err(ApiError::invalid(path, message));
        }
        _ => {
            return Err(ApiError::invalid(&path, format!("`{path}` must be system, developer, user or assistant.")));
        }
    };
    let path = fields.path("content");
    let content = match fields.take("content") {
        Some(value) => content::parse(value, &path, Some(role))?,
        None => return Err(fields.missing("content", "a string or an array of parts")),
    };
    let (id, phase) = (id(&mut fields)?, phase(&mut fields)?);
    Ok(Item::Message(Message { id, role, status: status(&mut fields)?, phase, content, extra: Map::new() }))
}

fn phase(fields: &mut Fields) -> Parsed<Option<Phase>> {
    let word = one_of(fields, "phase", &["commentary", "final_answer"])?;
    Ok(word.map(|word| if word == "commentary" { Phase::Commentary } else { Phase::FinalAnswer }))
}

/// What was cut off stays so; all else is over by the time it is sent.
fn status(fields: &mut Fields) -> Parsed<Status> {
    let status = fields.take_string("status")?;
    Ok(if status.as_deref() == Some("incomplete") { Status::Incomplete } else { Status::Completed })
}

fn id(fields: &mut Fields) -> Parsed<String> {
    Ok(fields.take_string("id")?.unwrap_or_default())
}

fn function_call(mut fields: Fields) -> Parsed<ToolCall> {
    let call_id = fields.need_string("call_id")?;
    call(fields, call_id, Origin::Client)
}

fn call(mut fields: Fields, call_id: String, origin: Origin) -> Parsed<ToolCall> {
    let (id, name) = (id(&mut fields)?, fields.need_string("name")?);
    let Some(arguments) = fields.take_string("arguments")? else {
        return Err(fields.missing("arguments", "a string of JSON"));
    };
    let (home, status, extra) = (None, Status::Completed, Map::new());
    Ok(ToolCall { id, call_id, name, arguments, origin, home, status, extra })
}

fn function_call_output(mut fields: Fields) -> Parsed<ToolOutput> {
    let (id, call_id) = (id(&mut fields)?, fields.need_string("call_id")?);
    let path = fields.path("output");
    let content = match fields.take("output") {
        Some(value) => content::parse(value, &path, None)?,
        None => return Err(fields.missing("output", "a string or an array of parts")),
    };
    Ok(ToolOutput { id, call_id, content, failed: false, extra: Map::new() })
}

/// A call of a tool that takes plain text. To the model it is a function with that text as its one argument.
fn custom_tool_call(mut fields: Fields) -> Parsed<ToolCall> {
    let (id, call_id, name) = (id(&mut fields)?, fields.need_string("call_id")?, fields.need_string("name")?);
    let Some(input) = fields.take_string("input")? else {
        return Err(fields.missing("input", "a string"));
    };
    let (arguments, origin) = (json!({"input": input}).to_string(), Origin::Client);
    let (home, status, extra) = (None, Status::Completed, Map::new());
    Ok(ToolCall { id, call_id, name, arguments, origin, home, status, extra })
}

/// Reasoning goes back to the model as text, and as its maker has sealed it. What another server has sealed nobody here
/// can read.
fn reasoning(mut fields: Fields) -> Parsed<Option<Reasoning>> {
    let id = id(&mut fields)?;
    let sealed = fields.take_string("encrypted_content")?.and_then(|text| unseal(&text));
    let shown = texts(&mut fields, "content")?;
    let summary = texts(&mut fields, "summary")?;
    // A summary says less of the same.
    let (text, is_summary) = if shown.is_empty() { (summary, true) } else { (shown, false) };
    let status = status(&mut fields)?;
    let is_summary = is_summary && !text.is_empty();
    Ok((!text.is_empty() || sealed.is_some()).then_some(Reasoning { id, status, text, is_summary, sealed }))
}

fn texts(fields: &mut Fields, key: &str) -> Parsed<String> {
    let path = fields.path(key);
    let parts = fields.take_array(key)?.unwrap_or_default().into_iter().enumerate();
    let text = |(at, part)| {
        let mut part = Fields::of(part, format!("{path}[{at}]"))?;
        part.take_string("text")?.ok_or_else(|| part.missing("text", "a string"))
    };
    Ok(parts.map(text).collect::<Parsed<Vec<_>>>()?.join("\n\n"))
}

/// Only its own maker can read it, so another's cannot be gone on from. The id it was made with is within.
fn compaction(mut fields: Fields) -> Parsed<Compaction> {
    let path = fields.path("encrypted_content");
    let content = fields.need_string("encrypted_content")?;
    unseal(&content).ok_or_else(|| {
        let message =
            format!("`{path}` is of another service's making, or not whole: send the items that it stands for.");
        ApiError::invalid(path, message)
    })
}

/// A call that a server has run, ours or another: to the model it is a call with its output.
fn mcp_call(mut fields: Fields, input: &mut Input) -> Parsed<()> {
    let id = fields.need_string("id")?;
    let output = fields.take_string("output")?;
    let error = fields.take("error");
    let failed = output.is_none() && error.is_some();
    let text = output.or_else(|| error.map(|error| error_text(&error)));
    let call_id = call_id_of(&id).to_owned();
    let server = fields.take_string("server_label")?.filter(|label| label != OWN_LABEL);
    let mut call = ToolCall { id, ..call(fields, call_id.clone(), Origin::Server)? };
    call.home = server.map(|server| Arc::new(ToolHome { server, tool: call.name.clone() }));
    // A call that was cut off says nothing to the model.
    if let Some(text) = text {
        let (id, content) = (String::new(), vec![Part::text(text)]);
        input.items.push(Arc::new(Item::ToolCall(call)));
        input.items.push(Arc::new(Item::ToolOutput(ToolOutput { id, call_id, content, failed, extra: Map::new() })));
    }
    Ok(())
}

fn error_text(error: &Value) -> String {
    let text = error.pointer("/content/0/text").or_else(|| error.get("message")).unwrap_or(error);
    text.as_str().map_or_else(|| text.to_string(), str::to_owned)
}
