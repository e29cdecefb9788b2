//! Chat messages into items.

use crate::core::item::{Item, Message, Origin, Part, Reasoning, Role, Status, ToolCall, ToolOutput};
use crate::dialect::error::{ApiError, excerpt};
use crate::dialect::fields::{Check, Fields, wrong};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

type Parsed<T> = Result<T, ApiError>;

/// Reads `messages`. The items stand in the order of the messages: an assistant's reasoning, text and calls, in this order.
pub(super) fn parse(messages: Vec<Value>) -> Parsed<Vec<Arc<Item>>> {
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "`messages` must hold at least one message."));
    }
    let mut items = Vec::with_capacity(messages.len());
    let mut open = OpenCalls::default();
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let mut fields = Fields::of(message, path.as_str())?;
        let role = fields.need_string("role")?;
        if role != "tool" {
            open.expect_none()?;
        }
        match role.as_str() {
            "system" => items.push(plain(Role::System, fields)?),
            "developer" => items.push(plain(Role::Developer, fields)?),
            "user" => items.push(plain(Role::User, fields)?),
            "assistant" => assistant(fields, &mut items, &mut open)?,
            "tool" => items.push(tool(fields, &mut open)?),
            "function" => {
                let hint = "send the result with the role `tool` and its `tool_call_id`";
                let message = format!("`{path}.role` `function` is not supported: {hint}.");
                return Err(ApiError::invalid(format!("{path}.role"), message));
            }
            _ => {
                let roles = "system, developer, user, assistant or tool";
                let message = format!("`{path}.role` must be {roles}, not `{}`.", excerpt(&role));
                return Err(ApiError::invalid(format!("{path}.role"), message));
            }
        }
    }
    open.expect_none()?;
    Ok(items.into_iter().map(Arc::new).collect())
}

fn plain(role: Role, mut fields: Fields) -> Parsed<Item> {
    fields.check("name", Check::String)?;
    let path = fields.path("content");
    let content = match fields.take("content") {
        Some(value) => parts(value, &path)?,
        None => return Err(fields.missing("content", "a string or an array of parts")),
    };
    Ok(message(role, content, extra(fields)))
}

/// The fields of a message that we do not know.
fn extra(fields: Fields) -> Map<String, Value> {
    // SDKs send answers back with every key they know, and strict servers refuse some of those even as `null`.
    fields.rest().into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn message(role: Role, content: Vec<Part>, extra: Map<String, Value>) -> Item {
    let (id, status, phase) = (String::new(), Status::Completed, None);
    Item::Message(Message { id, role, status, phase, content, extra })
}

fn assistant(mut fields: Fields, items: &mut Vec<Item>, open: &mut OpenCalls) -> Parsed<()> {
    fields.check("name", Check::String)?;
    let path = fields.path("content");
    let mut content = match fields.take("content") {
        Some(value) => parts(value, &path)?,
        None => Vec::new(),
    };
    if let Some(refusal) = fields.take_string("refusal")? {
        content.push(Part::Refusal { refusal });
    }
    let reasoning = fields.take_string("reasoning_content")?.filter(|text| !text.is_empty());
    let calls_path = fields.path("tool_calls");
    let calls = fields.take_array("tool_calls")?.unwrap_or_default();
    if fields.has("function_call") {
        let path = fields.path("function_call");
        let message = format!("`{path}` is not supported: send `tool_calls` instead.");
        return Err(ApiError::invalid(path, message));
    }
    if let Some(text) = reasoning {
        items.push(Item::Reasoning(Reasoning { text, ..Reasoning::blank(String::new(), Status::Completed) }));
    }
    let extra = extra(fields);
    if !content.is_empty() || calls.is_empty() || !extra.is_empty() {
        items.push(message(Role::Assistant, content, extra));
    }
    for (at, call) in calls.into_iter().enumerate() {
        let call = tool_call(Fields::of(call, format!("{calls_path}[{at}]"))?)?;
        open.add(&call, &format!("{calls_path}[{at}].id"))?;
        items.push(Item::ToolCall(call));
    }
    open.path = calls_path;
    Ok(())
}

fn tool_call(mut fields: Fields) -> Parsed<ToolCall> {
    let call_id = fields.need_string("id")?;
    let kind_path = fields.path("type");
    if let Some(kind) = fields.take_string("type")?.filter(|kind| kind != "function") {
        let message = format!("`{kind_path}` must be `function`, not `{}`.", excerpt(&kind));
        return Err(ApiError::invalid(kind_path, message));
    }
    let Some(mut function) = fields.take_object("function")? else {
        return Err(fields.missing("function", "an object with `name` and `arguments`"));
    };
    let name = function.need_string("name")?;
    let Some(arguments) = function.take_string("arguments")? else {
        return Err(function.missing("arguments", "a string of JSON"));
    };
    let (id, origin, status) = (String::new(), Origin::Client, Status::Completed);
    Ok(ToolCall { id, call_id, name, arguments, origin, home: None, status, extra: fields.rest() })
}

fn tool(mut fields: Fields, open: &mut OpenCalls) -> Parsed<Item> {
    let id_path = fields.path("tool_call_id");
    let call_id = fields.need_string("tool_call_id")?;
    open.answer(&call_id, &id_path)?;
    let path = fields.path("content");
    let content = match fields.take("content") {
        Some(value) => parts(value, &path)?,
        None => Vec::new(),
    };
    Ok(Item::ToolOutput(ToolOutput { id: String::new(), call_id, content, failed: false, extra: fields.rest() }))
}

fn parts(content: Value, path: &str) -> Parsed<Vec<Part>> {
    match content {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(parts) => {
            parts.into_iter().enumerate().map(|(at, part)| self::part(part, &format!("{path}[{at}]"))).collect()
        }
        other => Err(wrong(path, "a string or an array of parts", &other)),
    }
}

fn part(value: Value, path: &str) -> Parsed<Part> {
    let mut fields = Fields::of(value.clone(), path)?;
    let kind = fields.need_string("type")?;
    match kind.as_str() {
        "text" => {
            let text = fields.take_string("text")?.ok_or_else(|| fields.missing("text", "a string"))?;
            // More keys (`cache_control`, …) go on as they came.
            Ok(if fields.rest().is_empty() { Part::text(text) } else { Part::Opaque { value } })
        }
        "refusal" => {
            let refusal = fields.take_string("refusal")?.ok_or_else(|| fields.missing("refusal", "a string"))?;
            Ok(Part::Refusal { refusal })
        }
        "image_url" => {
            let Some(mut image) = fields.take_object("image_url")? else {
                return Err(fields.missing("image_url", "an object with `url`"));
            };
            let url_path = image.path("url");
            let url = image.need_string("url")?;
            let begins =
                |scheme: &&str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
            if !["http://", "https://", "data:"].iter().any(begins) {
                let message = format!("`{url_path}` must be an http, https or data URL.");
                return Err(ApiError::invalid(url_path, message));
            }
            let detail = image.take_string("detail")?;
            let is_plain = image.rest().is_empty() && fields.rest().is_empty();
            Ok(if is_plain { Part::Image { url, detail } } else { Part::Opaque { value } })
        }
        _ => Ok(Part::Opaque { value }),
    }
}

/// Calls of the last assistant message that have no result yet. A model refuses a history in which a call and its
/// result do not pair up, and so do we, by name.
#[derive(Debug, Default)]
struct OpenCalls {
    waiting: HashSet<String>,
    seen: HashSet<String>,
    /// Where the waiting calls stand.
    path: String,
}

impl OpenCalls {
    fn add(&mut self, call: &ToolCall, path: &str) -> Parsed<()> {
        self.seen.insert(call.call_id.clone());
        if self.waiting.insert(call.call_id.clone()) {
            return Ok(());
        }
        Err(ApiError::invalid(path, format!("`{path}` repeats the id of another call of this message.")))
    }

    fn answer(&mut self, call_id: &str, path: &str) -> Parsed<()> {
        if self.waiting.remove(call_id) {
            return Ok(());
        }
        let problem = match self.seen.contains(call_id) {
            true => "is the result of a call that has one already, or whose turn is over",
            false => "names no call of the assistant message before it",
        };
        Err(ApiError::invalid(path, format!("`{path}` {problem}.")))
    }

    fn expect_none(&self) -> Parsed<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<&str> = self.waiting.iter().map(String::as_str).collect();
        ids.sort_unstable();
        let (count, path) = (ids.len(), &self.path);
        ids.truncate(4);
        let ids = ids.into_iter().map(excerpt).collect::<Vec<_>>().join(", ");
        let ids = if count > 4 { format!("{ids} and {} more", count.saturating_sub(4)) } else { ids };
        let message = format!(
            "`{path}` must be followed by a message of role `tool` for each call, with its `tool_call_id`; missing: {ids}."
        );
        Err(ApiError::invalid(path, message))
    }
}
