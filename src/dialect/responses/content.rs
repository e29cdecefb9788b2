//! Parts of an item's content, both ways.

use crate::core::item::{Part, Role};
use crate::core::logprob::Logprob;
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
        /// Always there, because the openai SDK insists on it, and empty unless asked for.
        logprobs: Vec<Logprob>,
    },
    Refusal {
        refusal: String,
    },
    ReasoningText {
        text: String,
    },
    SummaryText {
        text: String,
    },
    InputText {
        text: String,
    },
    InputImage {
        image_url: String,
        detail: String,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        file_data: String,
    },
}

impl Content {
    /// The text of a part that is made of text.
    pub fn into_text(self) -> String {
        match self {
            Self::OutputText { text, .. }
            | Self::ReasoningText { text }
            | Self::SummaryText { text }
            | Self::InputText { text }
            | Self::Refusal { refusal: text } => text,
            Self::InputImage { .. } | Self::InputFile { .. } => String::new(),
        }
    }

    pub fn output_text(text: impl Into<String>) -> Self {
        Self::OutputText { text: text.into(), annotations: [], logprobs: Vec::new() }
    }
}

/// The parts of a message, in the words for what its role says.
pub(super) fn message_parts(role: Role, parts: &[Part]) -> Vec<Content> {
    if role != Role::Assistant {
        return input_parts(parts);
    }
    let part = |part: &Part| match part {
        Part::Refusal { refusal } => Content::Refusal { refusal: refusal.clone() },
        Part::Text { text, logprobs } => {
            Content::OutputText { text: text.clone(), annotations: [], logprobs: logprobs.clone() }
        }
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
        Part::File { name, data } => Content::InputFile { filename: name.clone(), file_data: data.clone() },
        part => Content::InputText { text: part.as_text().unwrap_or_default().to_owned() },
    };
    parts.iter().map(part).collect()
}

/// Reads the content of a message or of a tool's output: a string, or parts.
pub(super) fn parse(content: Value, path: &str, role: Option<Role>) -> Result<Vec<Part>, ApiError> {
    match content {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text)]),
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
            Ok(Part::text(text))
        }
        "refusal" if role == Some(Role::Assistant) => {
            let refusal = fields.take_string("refusal")?.ok_or_else(|| fields.missing("refusal", "a string"))?;
            Ok(Part::Refusal { refusal })
        }
        "input_image" if role != Some(Role::Assistant) => image(fields),
        "input_file" if role != Some(Role::Assistant) => file(fields),
        "input_video" | "input_audio" => {
            let path = fields.path("type");
            let message = format!("`{path}` `{kind}` is not supported: send text, images or files.");
            Err(ApiError::invalid(path, message))
        }
        _ => {
            let path = fields.path("type");
            let kinds = match role {
                Some(Role::Assistant) => "output_text or refusal",
                _ => "input_text, input_image or input_file",
            };
            Err(ApiError::invalid(&path, format!("`{path}` must be {kinds} here.")))
        }
    }
}

fn image(mut fields: Fields) -> Result<Part, ApiError> {
    refuse_stored(&fields, "Send the image as `image_url`.")?;
    let path = fields.path("image_url");
    let url = fields.need_string("image_url")?;
    if !["http://", "https://", "data:"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(ApiError::invalid(&path, format!("`{path}` must be an http, https or data URL.")));
    }
    Ok(Part::Image { url, detail: fields.take_string("detail")? })
}

fn file(mut fields: Fields) -> Result<Part, ApiError> {
    refuse_stored(&fields, "Send what is in the file as `file_data`.")?;
    if fields.has("file_url") {
        let path = fields.path("file_url");
        let message = format!("`{path}` is not supported: this server fetches no files. Send it as `file_data`.");
        return Err(ApiError::invalid(path, message));
    }
    Ok(Part::File { name: fields.take_string("filename")?, data: fields.need_string("file_data")? })
}

fn refuse_stored(fields: &Fields, instead: &str) -> Result<(), ApiError> {
    if !fields.has("file_id") {
        return Ok(());
    }
    let path = fields.path("file_id");
    let message = format!("`{path}` is not supported: this server keeps no files. {instead}");
    Err(ApiError::invalid(path, message))
}
