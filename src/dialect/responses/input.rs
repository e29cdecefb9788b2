//! The `input` of a request into items.

use super::content;
use super::items::call_id_of;
use super::sealed;
use crate::core::item::{Compaction, Item, Message, Origin, Part, Reasoning, Role, Status, ToolCall, ToolOutput};
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Fields, wrong};
use serde_json::{Map, Value};
use std::sync::Arc;

type Parsed<T> = Result<T, ApiError>;

/// Reads `input`: a string is what the user says.
pub(super) fn parse(input: Value) -> Parsed<Vec<Arc<Item>>> {
    match input {
        Value::String(text) => Ok(vec![Arc::new(Item::Message(Message::of(Role::User, text)))]),
        Value::Array(values) if values.is_empty() => {
            Err(ApiError::invalid("input", "`input` must hold at least one item."))
        }
        Value::Array(values) => items(values, "input"),
        other => Err(wrong("input", "a string or an array of items", &other)),
    }
}

/// Reads a list of items; `path` is where it stands.
pub(super) fn items(values: Vec<Value>, path: &str) -> Parsed<Vec<Arc<Item>>> {
    let mut items = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        item(Fields::of(value, format!("{path}[{at}]"))?, &mut items)?;
    }
    Ok(items.into_iter().map(Arc::new).collect())
}

fn item(mut fields: Fields, items: &mut Vec<Item>) -> Parsed<()> {
    let path = fields.path("type");
    // Clients leave out the type of messages.
    let kind = match fields.take_string("type")? {
        Some(kind) => kind,
        None if fields.has("role") => "message".to_owned(),
        None => return Err(fields.missing("type", "the kind of the item, such as `message`")),
    };
    match kind.as_str() {
        "message" => items.push(message(fields)?),
        "function_call" => items.push(Item::ToolCall(function_call(fields)?)),
        "function_call_output" => items.push(Item::ToolOutput(function_call_output(fields)?)),
        "reasoning" => items.extend(reasoning(fields)?),
        "mcp_call" => mcp_call(fields, items)?,
        "compaction" => items.push(Item::Compaction(compaction(fields)?)),
        "item_reference" => {
            let message = format!("`{path}` `item_reference` is not supported yet: send the item itself.");
            return Err(ApiError::invalid(path, message));
        }
        _ => {
            let known = "message, function_call, function_call_output, reasoning, mcp_call and compaction";
            return Err(ApiError::invalid(
                &path,
                format!("`{path}` names an item that is not supported: send {known}."),
            ));
        }
    }
    Ok(())
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
    let id = id(&mut fields)?;
    Ok(Item::Message(Message { id, role, status: Status::Completed, content, extra: Map::new() }))
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
    Ok(ToolCall { id, call_id, name, arguments, origin, status: Status::Completed, extra: Map::new() })
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

/// Reasoning goes back to the model as text. What is sealed in `encrypted_content` only its maker could read.
fn reasoning(mut fields: Fields) -> Parsed<Option<Item>> {
    let id = id(&mut fields)?;
    let mut texts = Vec::new();
    for key in ["content", "summary"] {
        let path = fields.path(key);
        for (at, part) in fields.take_array(key)?.unwrap_or_default().into_iter().enumerate() {
            let mut part = Fields::of(part, format!("{path}[{at}]"))?;
            texts.push(part.take_string("text")?.ok_or_else(|| part.missing("text", "a string"))?);
        }
        // A summary says less of the same.
        if !texts.is_empty() {
            break;
        }
    }
    let text = texts.join("\n\n");
    Ok((!text.is_empty()).then(|| Item::Reasoning(Reasoning { id, status: Status::Completed, text })))
}

/// Only its own maker can read it, so another's cannot be gone on from. The id it was made with is within.
fn compaction(mut fields: Fields) -> Parsed<Compaction> {
    let path = fields.path("encrypted_content");
    let content = fields.need_string("encrypted_content")?;
    sealed::open(&content).ok_or_else(|| {
        let message =
            format!("`{path}` is of another service's making, or not whole: send the items that it stands for.");
        ApiError::invalid(path, message)
    })
}

/// A call that a server has run, ours or another: to the model it is a call with its output.
fn mcp_call(mut fields: Fields, items: &mut Vec<Item>) -> Parsed<()> {
    let id = fields.need_string("id")?;
    let output = fields.take_string("output")?;
    let error = fields.take("error");
    let failed = output.is_none() && error.is_some();
    let text = output.or_else(|| error.map(|error| error_text(&error)));
    let call_id = call_id_of(&id).to_owned();
    let call = ToolCall { id, ..call(fields, call_id.clone(), Origin::Server)? };
    // A call that was cut off says nothing to the model.
    if let Some(text) = text {
        items.push(Item::ToolCall(call));
        items.push(Item::ToolOutput(ToolOutput {
            id: String::new(),
            call_id,
            content: vec![Part::text(text)],
            failed,
            extra: Map::new(),
        }));
    }
    Ok(())
}

fn error_text(error: &Value) -> String {
    let text = error.pointer("/content/0/text").or_else(|| error.get("message")).unwrap_or(error);
    text.as_str().map_or_else(|| text.to_string(), str::to_owned)
}
