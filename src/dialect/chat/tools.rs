//! The client's tools and its choice among them.

use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::ToolChoice;
use crate::dialect::error::{ApiError, excerpt};
use crate::dialect::fields::{Check, Fields, wrong};
use crate::dialect::offer::{check_number, name};
use serde_json::Value;
use std::collections::HashSet;

type Parsed<T> = Result<T, ApiError>;

/// Reads `tools`. Most types that are not `function` are left out: clients offer their own hosted kinds to every server.
/// If nothing else is there the field counts as absent, because only an empty list says "no tools at all".
pub(super) fn parse(tools: Vec<Value>) -> Parsed<Option<Vec<ToolSpec>>> {
    check_number(&tools)?;
    let asks_for_none = tools.is_empty();
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(tools.len());
    let mut names = HashSet::new();
    for (at, tool) in tools.into_iter().enumerate() {
        let path = format!("tools[{at}]");
        let mut fields = Fields::of(tool, path.as_str())?;
        let kind = fields.need_string("type")?;
        if kind == "custom" {
            let path = fields.path("type");
            let message = format!("`{path}` `custom` is not supported: offer a `function` instead.");
            return Err(ApiError::invalid(path, message));
        }
        if kind == "mcp" {
            let path = fields.path("type");
            let message = format!("`{path}` `mcp` is taken by /v1/responses only.");
            return Err(ApiError::invalid(path, message));
        }
        if kind != "function" {
            continue;
        }
        let Some(function) = fields.take_object("function")? else {
            return Err(fields.missing("function", "an object with a `name`"));
        };
        let spec = ToolSpec { beside: fields.rest(), ..self::function(function)? };
        if !names.insert(spec.name.clone()) {
            let path = format!("{path}.function.name");
            let message = format!("`{path}` repeats the name of another tool: `{}`.", spec.name);
            return Err(ApiError::invalid(path, message));
        }
        specs.push(spec);
    }
    Ok(Some(specs).filter(|specs| asks_for_none || !specs.is_empty()))
}

fn function(mut fields: Fields) -> Parsed<ToolSpec> {
    let name = self::name(&mut fields)?;
    fields.check("parameters", Check::Object)?;
    Ok(ToolSpec {
        name,
        description: fields.take_string("description")?,
        parameters: fields.take("parameters"),
        strict: fields.take_bool("strict")?,
        extra: fields.rest(),
        ..ToolSpec::default()
    })
}

/// Reads `tool_choice`.
pub(super) fn choice(value: Option<Value>) -> Parsed<ToolChoice> {
    const EXPECTED: &str = "`auto`, `none`, `required` or {\"type\":\"function\",\"function\":{\"name\":…}}";
    let path = "tool_choice";
    match value {
        None => Ok(ToolChoice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(ApiError::invalid(path, format!("`tool_choice` must be {EXPECTED}."))),
        },
        Some(value @ Value::Object(_)) => {
            let mut fields = Fields::of(value, path)?;
            let kind = fields.need_string("type")?;
            if kind != "function" {
                let kind = excerpt(&kind);
                let message =
                    format!("`tool_choice.type` `{kind}` is not supported: `tool_choice` must be {EXPECTED}.");
                return Err(ApiError::invalid("tool_choice.type", message));
            }
            let Some(mut function) = fields.take_object("function")? else {
                return Err(fields.missing("function", "an object with a `name`"));
            };
            Ok(ToolChoice::Function(name(&mut function)?))
        }
        Some(other) => Err(wrong(path, EXPECTED, &other)),
    }
}
