//! The client's tools and its choice among them, in the flat form of the Responses API.

use super::mcp;
use crate::core::asked::AskedServer;
use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::ToolChoice;
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Check, Fields, wrong};
use crate::dialect::offer::{check_number, name};
use serde_json::{Value, json};
use std::collections::HashSet;

type Parsed<T> = Result<T, ApiError>;

/// What a request offers the model.
#[derive(Default)]
pub(super) struct Offered {
    /// `None` where it names no tool of its own.
    pub tools: Option<Vec<ToolSpec>>,
    pub servers: Vec<AskedServer>,
}

/// Reads `tools`. Types that we do not know are left out: clients offer their own hosted kinds to every server, and a
/// request that cannot be served without one names it in `tool_choice`. If nothing else is there the field counts as
/// absent, because only an empty list says "no tools at all".
pub(super) fn parse(tools: Vec<Value>) -> Parsed<Offered> {
    check_number(&tools)?;
    let asks_for_none = tools.is_empty();
    let mut specs = Vec::with_capacity(tools.len());
    let (mut names, mut servers) = (HashSet::new(), Vec::new());
    for (at, tool) in tools.into_iter().enumerate() {
        let mut fields = Fields::of(tool, format!("tools[{at}]"))?;
        match fields.need_string("type")?.as_str() {
            "function" => {}
            "mcp" => {
                let server = mcp::server(fields, format!("tools[{at}]"), &servers)?;
                servers.push(server);
                continue;
            }
            _ => continue,
        }
        let path = fields.path("name");
        let spec = function(fields)?;
        if !names.insert(spec.name.clone()) {
            let message = format!("`{path}` repeats the name of another tool: `{}`.", spec.name);
            return Err(ApiError::invalid(path, message));
        }
        specs.push(spec);
    }
    let tools = Some(specs).filter(|specs| asks_for_none || !specs.is_empty());
    Ok(Offered { tools, servers })
}

fn function(mut fields: Fields) -> Parsed<ToolSpec> {
    let name = name(&mut fields)?;
    fields.check("parameters", Check::Object)?;
    Ok(ToolSpec {
        name,
        description: fields.take_string("description")?,
        parameters: fields.take("parameters"),
        strict: fields.take_bool("strict")?,
        // Keys of the Responses API mean nothing to a chat upstream, and some refuse what they do not know.
        ..ToolSpec::default()
    })
}

/// A tool as a response names it: every key is there.
pub(super) fn echo(spec: &ToolSpec) -> Value {
    let ToolSpec { name, description, parameters, strict, .. } = spec;
    json!({"type": "function", "name": name, "description": description, "parameters": parameters, "strict": strict})
}

/// `tool_choice`, understood.
pub(super) struct Choice {
    pub choice: ToolChoice,
    /// The only tools that may be called.
    pub allowed: Option<Vec<String>>,
    /// As a response names it.
    pub echo: Value,
}

/// Reads `tool_choice`.
pub(super) fn choice(value: Option<Value>) -> Parsed<Choice> {
    const EXPECTED: &str =
        "auto, none, required, {\"type\":\"function\",\"name\":…} or {\"type\":\"allowed_tools\",\"tools\":[…]}";
    let (choice, allowed, echo) = match value {
        None => (ToolChoice::Auto, None, json!("auto")),
        Some(Value::String(word)) => {
            let choice = match word.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                _ => return Err(ApiError::invalid("tool_choice", format!("`tool_choice` must be {EXPECTED}."))),
            };
            (choice, None, json!(word))
        }
        Some(value @ Value::Object(_)) => {
            let mut fields = Fields::of(value, "tool_choice")?;
            match fields.need_string("type")?.as_str() {
                "function" => {
                    let name = name(&mut fields)?;
                    let echo = json!({"type": "function", "name": name});
                    (ToolChoice::Function(name), None, echo)
                }
                "allowed_tools" => return allowed(fields),
                _ => {
                    let message = format!("`tool_choice.type` is not supported: `tool_choice` must be {EXPECTED}.");
                    return Err(ApiError::invalid("tool_choice.type", message));
                }
            }
        }
        Some(other) => return Err(wrong("tool_choice", EXPECTED, &other)),
    };
    Ok(Choice { choice, allowed, echo })
}

fn allowed(mut fields: Fields) -> Parsed<Choice> {
    let mode = fields.take_string("mode")?.unwrap_or_else(|| "auto".to_owned());
    let choice = match mode.as_str() {
        "auto" => ToolChoice::Auto,
        "required" => ToolChoice::Required,
        _ => return Err(ApiError::invalid("tool_choice.mode", "`tool_choice.mode` must be auto or required.")),
    };
    let tools = fields.take_array("tools")?.filter(|tools| (1..=128).contains(&tools.len()));
    let tools = tools.ok_or_else(|| {
        let message = "`tool_choice.tools` must be an array of 1 to 128 tools.";
        ApiError::invalid("tool_choice.tools", message)
    })?;
    let mut names = Vec::with_capacity(tools.len());
    for (at, tool) in tools.into_iter().enumerate() {
        let mut tool = Fields::of(tool, format!("tool_choice.tools[{at}]"))?;
        if tool.need_string("type")? != "function" {
            let path = tool.path("type");
            return Err(ApiError::invalid(
                &path,
                format!("`{path}` must be `function`: no other tools can be allowed by name."),
            ));
        }
        names.push(name(&mut tool)?);
    }
    let tools: Vec<Value> = names.iter().map(|name| json!({"type": "function", "name": name})).collect();
    let echo = json!({"type": "allowed_tools", "mode": mode, "tools": tools});
    Ok(Choice { choice, allowed: Some(names), echo })
}
