//! The form of an answer as chat's `response_format`.

use crate::core::format::{JsonSchema, OutputFormat, Shape};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
pub struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<Schema<'a>>,
    #[serde(flatten)]
    beside: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl<'a> ResponseFormat<'a> {
    pub fn new(format: &'a OutputFormat) -> Self {
        let (kind, json_schema) = match &format.shape {
            Shape::Text => ("text", None),
            Shape::Object => ("json_object", None),
            Shape::Schema(schema) => ("json_schema", Some(Schema::new(schema))),
        };
        Self { kind, json_schema, beside: &format.beside }
    }
}

impl<'a> Schema<'a> {
    fn new(schema: &'a JsonSchema) -> Self {
        let JsonSchema { name, description, schema, strict, extra, .. } = schema;
        Self { name, description: description.as_deref(), schema, strict: *strict, extra }
    }
}
