//! `text` and `reasoning`: how the model shall think and in which form it shall answer. Each becomes parameters under
//! their chat names, and what the response echoes.

use crate::core::format::OutputFormat;
use crate::dialect::error::ApiError;
use crate::dialect::fields::Fields;
use crate::dialect::format;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Reads `text`: the form of the answer, if it names one, and the echo.
pub(super) fn parse(
    text: Option<Fields>,
    params: &mut Map<String, Value>,
) -> Result<(Option<Arc<OutputFormat>>, Value), ApiError> {
    let mut echo = json!({"format": {"type": "text"}});
    let Some(mut text) = text else { return Ok((None, echo)) };
    let format = text.take_object("format")?.map(format::of_responses).transpose()?;
    if let Some(format) = &format {
        echo = json!({"format": format::echo(format)});
    }
    if let Some(verbosity) = one_of(&mut text, "verbosity", &["low", "medium", "high"])? {
        params.insert("verbosity".to_owned(), json!(verbosity));
        if let Some(echo) = echo.as_object_mut() {
            echo.insert("verbosity".to_owned(), json!(verbosity));
        }
    }
    Ok((format.map(Arc::new), echo))
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
