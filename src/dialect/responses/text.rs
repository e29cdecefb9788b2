//! `text` and `reasoning`: how the model shall think and in which form it shall answer. Each becomes parameters under
//! their chat names, and what the response echoes.

use crate::dialect::error::ApiError;
use crate::dialect::fields::{Check, Fields};
use serde_json::{Map, Value, json};

/// Reads `text`.
pub(super) fn parse(text: Option<Fields>, params: &mut Map<String, Value>) -> Result<Value, ApiError> {
    let mut echo = json!({"format": {"type": "text"}});
    let Some(mut text) = text else { return Ok(echo) };
    if let Some(format) = text.take_object("format")? {
        let format = self::format(format)?;
        if let Some(response_format) = response_format(&format) {
            params.insert("response_format".to_owned(), response_format);
        }
        echo = json!({"format": format});
    }
    if let Some(verbosity) = one_of(&mut text, "verbosity", &["low", "medium", "high"])? {
        params.insert("verbosity".to_owned(), json!(verbosity));
        if let Some(echo) = echo.as_object_mut() {
            echo.insert("verbosity".to_owned(), json!(verbosity));
        }
    }
    Ok(echo)
}

/// The format with its keys checked. Those of a schema are all there.
fn format(mut format: Fields) -> Result<Value, ApiError> {
    let kind = format.need_string("type")?;
    match kind.as_str() {
        "text" | "json_object" => Ok(json!({"type": kind})),
        "json_schema" => {
            let path = format.path("name");
            let name = format.need_string("name")?;
            if name.len() > 64 || !name.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char)) {
                let message = format!("`{path}` must be 1 to 64 characters out of a-z, A-Z, 0-9, _ and -");
                return Err(ApiError::invalid(path, message));
            }
            format.check("schema", Check::Object)?;
            let schema = format.take("schema").ok_or_else(|| format.missing("schema", "a JSON schema"))?;
            let (description, strict) = (format.take_string("description")?, format.take_bool("strict")?);
            let strict = strict.unwrap_or(false);
            Ok(json!({"type": kind, "name": name, "description": description, "schema": schema, "strict": strict}))
        }
        _ => {
            let message = "`text.format.type` must be text, json_object or json_schema.";
            Err(ApiError::invalid("text.format.type", message))
        }
    }
}

/// Chat's name for a format that asks for anything.
fn response_format(format: &Value) -> Option<Value> {
    let kind = format.get("type")?.as_str()?;
    match kind {
        "text" => None,
        "json_schema" => {
            let mut schema = format.as_object()?.clone();
            schema.shift_remove("type");
            // The nulls are the echo's.
            schema.retain(|_, value| !value.is_null());
            Some(json!({"type": kind, "json_schema": schema}))
        }
        _ => Some(json!({"type": kind})),
    }
}

/// Reads `reasoning`. A summary is nothing that a chat upstream could be asked for.
pub(super) fn reasoning(fields: Option<Fields>, params: &mut Map<String, Value>) -> Result<Option<Value>, ApiError> {
    const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    const SUMMARIES: &[&str] = &["auto", "concise", "detailed"];
    let Some(mut fields) = fields else { return Ok(None) };
    let effort = one_of(&mut fields, "effort", EFFORTS)?;
    if let Some(effort) = &effort {
        params.insert("reasoning_effort".to_owned(), json!(effort));
    }
    let older = one_of(&mut fields, "generate_summary", SUMMARIES)?;
    let summary = one_of(&mut fields, "summary", SUMMARIES)?.or(older);
    Ok(Some(json!({"effort": effort, "summary": summary})))
}

/// A word out of a list.
pub(super) fn one_of(fields: &mut Fields, key: &str, words: &[&str]) -> Result<Option<String>, ApiError> {
    match fields.take_string(key)? {
        Some(word) if !words.contains(&word.as_str()) => {
            let path = fields.path(key);
            Err(ApiError::invalid(&path, format!("`{path}` must be one of {}.", words.join(", "))))
        }
        word => Ok(word),
    }
}
