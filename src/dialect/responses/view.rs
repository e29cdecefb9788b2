//! What a request asks to see of its run.

use crate::dialect::error::ApiError;
use crate::dialect::fields::Fields;
use serde::{Deserialize, Serialize};

/// How much a client is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Reasoning as a summary, which is the form that most clients render.
    pub summary: bool,
    /// Sealed reasoning, for a client that keeps the conversation itself.
    pub sealed: bool,
}

/// What `include` asks for, as far as there can be any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Included {
    pub sealed: bool,
    pub logprobs: bool,
}

/// What may be asked for. All but the first two belongs to tools that are not here, so it is never there.
const INCLUDABLE: &[&str] = &[
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];

/// Reads `include`.
pub(super) fn included(fields: &mut Fields) -> Result<Included, ApiError> {
    let mut included = Included::default();
    for (at, value) in fields.take_array("include")?.unwrap_or_default().iter().enumerate() {
        match value.as_str() {
            Some("reasoning.encrypted_content") => included.sealed = true,
            Some("message.output_text.logprobs") => included.logprobs = true,
            Some(word) if INCLUDABLE.contains(&word) => {}
            _ => {
                let path = format!("include[{at}]");
                let message = format!("`{path}` is not supported. There is: {}.", INCLUDABLE.join(", "));
                return Err(ApiError::invalid(path, message));
            }
        }
    }
    Ok(included)
}
