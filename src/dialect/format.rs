//! The form that a client wants the answer in: `response_format` on chat, the flat `text.format` on Responses.

use super::error::ApiError;
use super::fields::{Check, Fields};
use crate::core::format::{JsonSchema, OutputFormat, Shape};
use serde_json::{Map, Value, json};

/// The schema's place in a chat request and in a profile's `sampling`, and in a Responses request.
const IN_CHAT: &str = "response_format.json_schema.schema";
const IN_RESPONSES: &str = "text.format.schema";

/// Reads chat's `response_format`.
pub fn of_chat(mut format: Fields) -> Result<OutputFormat, ApiError> {
    let shape = match kind(&mut format)? {
        Kind::Text => Shape::Text,
        Kind::Object => Shape::Object,
        Kind::Schema => {
            let Some(mut fields) = format.take_object("json_schema")? else {
                return Err(format.missing("json_schema", "an object with `name` and `schema`"));
            };
            let (name, schema) = (fields.need_string("name")?, schema(&mut fields)?);
            let schema = schema.unwrap_or_else(|| json!({}));
            let (description, strict) = (fields.take_string("description")?, fields.take_bool("strict")?);
            let (extra, path) = (fields.rest(), IN_CHAT);
            Shape::Schema(Box::new(JsonSchema { name, description, schema, strict, extra, path }))
        }
    };
    Ok(OutputFormat { shape, beside: format.rest() })
}

/// Reads the `text.format` of Responses.
pub(super) fn of_responses(mut format: Fields) -> Result<OutputFormat, ApiError> {
    let shape = match kind(&mut format)? {
        Kind::Text => Shape::Text,
        Kind::Object => Shape::Object,
        Kind::Schema => {
            let name = name(&mut format)?;
            let schema = schema(&mut format)?.ok_or_else(|| format.missing("schema", "a JSON schema"))?;
            let (description, strict) = (format.take_string("description")?, format.take_bool("strict")?);
            let (extra, path) = (Map::new(), IN_RESPONSES);
            Shape::Schema(Box::new(JsonSchema { name, description, schema, strict, extra, path }))
        }
    };
    Ok(OutputFormat::new(shape))
}

/// What a response repeats as its `text.format`. The keys of a schema are all there.
pub(super) fn echo(format: &OutputFormat) -> Value {
    match &format.shape {
        Shape::Text => json!({"type": "text"}),
        Shape::Object => json!({"type": "json_object"}),
        Shape::Schema(schema) => {
            let JsonSchema { name, description, schema, strict, .. } = schema.as_ref();
            let strict = strict.unwrap_or(false);
            json!({"type": "json_schema", "name": name, "description": description, "schema": schema, "strict": strict})
        }
    }
}

enum Kind {
    Text,
    Object,
    Schema,
}

fn kind(format: &mut Fields) -> Result<Kind, ApiError> {
    match format.need_string("type")?.as_str() {
        "text" => Ok(Kind::Text),
        "json_object" => Ok(Kind::Object),
        "json_schema" => Ok(Kind::Schema),
        _ => {
            let path = format.path("type");
            let message = format!("`{path}` must be text, json_object or json_schema.");
            Err(ApiError::invalid(path, message))
        }
    }
}

fn name(format: &mut Fields) -> Result<String, ApiError> {
    let path = format.path("name");
    let name = format.need_string("name")?;
    if name.len() > 64 || !name.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char)) {
        let message = format!("`{path}` must be 1 to 64 characters out of a-z, A-Z, 0-9, _ and -");
        return Err(ApiError::invalid(path, message));
    }
    Ok(name)
}

fn schema(fields: &mut Fields) -> Result<Option<Value>, ApiError> {
    fields.check("schema", Check::Object)?;
    Ok(fields.take("schema"))
}
