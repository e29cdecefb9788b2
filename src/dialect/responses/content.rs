//! Parts of an item's content, both ways.

use crate::core::item::{Part, Role};
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Fields, wrong};
use serde::Serialize;
use serde_json::Value;

/// A part as it is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    OutputText {
        text: String,
        annotations: [(); 0],
        /// Always empty, and always there, because the openai SDK insists on it.
        logprobs: [(); 0],
    },
    Refusal {
        refusal: String,
    },
    ReasoningText {
        text: String,
    },
    InputText {
        text: String,
    },
    InputImage {
        image_url: String,
        detail: String,
    },
}

impl Content {
    pub fn output_text(text: impl Into<String>) -> Self {
        Self::OutputText { text: text.into(), annotations: [], logprobs: [] }
    }
}

/// The parts of a message, in the words for what its role says.
pub(super) fn message_parts(role: Role, parts: &[Part]) -> Vec<Content> {
    if role != Role::Assistant {
        return input_parts(parts);
    }
    let part = |part: &Part| match part {
        Part::Refusal { refusal } => Content::Refusal { refusal: refusal.clone() },
        part => Content::output_text(part.as_text().unwrap_or_default()),
    };
    parts.iter().map(part).collect()
}

pub(super) fn input_parts(parts: &[Part]) -> Vec<Content> {
    let part = |part: &Part| match part {
        Part::Image { url, detail } => {
            let detail = detail.clone().unwrap_or_else(|| "auto".to_owned());
            Content::InputImage { image_url: url.clone(), detail }
        }
        part => Content::InputText { text: part.as_text().unwrap_or_default().to_owned() },
    };
    parts.iter().map(part).collect()
}

/// Reads the content of a message or of a tool's output: a string, or parts.
pub(super) fn parse(content: Value, path: &str, role: Option<Role>) -> Result<Vec<Part>, ApiError> {
    match content {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::Text { text }]),
        Value::Array(parts) => {
            let parts = parts.into_iter().enumerate();
            parts.map(|(at, part)| self::part(part, &format!("{path}[{at}]"), role)).collect()
        }
        other => Err(wrong(path, "a string or an array of parts", &other)),
    }
}

fn part(value: Value, path: &str, role: Option<Role>) -> Result<Part, ApiError> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.need_string("type")?;
    match kind.as_str() {
        "input_text" | "output_text" => {
            let text = fields.take_string("text")?.ok_or_else(|| fields.missing("text", "a string"))?;
            Ok(Part::Text { text })
        }
        "refusal" if role == Some(Role::Assistant) => {
            let refusal = fields.take_string("refusal")?.ok_or_else(|| fields.missing("refusal", "a string"))?;
            Ok(Part::Refusal { refusal })
        }
        "input_image" if role != Some(Role::Assistant) => image(fields),
        "input_file" | "input_video" | "input_audio" => {
            let path = fields.path("type");
            let message = format!("`{path}` `{kind}` is not supported yet: send text or images.");
            Err(ApiError::invalid(path, message))
        }
        _ => {
            let path = fields.path("type");
            let kinds =
                if role == Some(Role::Assistant) { "output_text or refusal" } else { "input_text or input_image" };
            Err(ApiError::invalid(&path, format!("`{path}` must be {kinds} here.")))
        }
    }
}

fn image(mut fields: Fields) -> Result<Part, ApiError> {
    if fields.has("file_id") {
        let path = fields.path("file_id");
        let message = format!("`{path}` is not supported: this server keeps no files. Send the image as `image_url`.");
        return Err(ApiError::invalid(path, message));
    }
    let path = fields.path("image_url");
    let url = fields.need_string("image_url")?;
    if !["http://", "https://", "data:"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(ApiError::invalid(&path, format!("`{path}` must be an http, https or data URL.")));
    }
    Ok(Part::Image { url, detail: fields.take_string("detail")? })
}
