//! What a model is told of a tool: its arguments' Rust type as a JSON Schema without noise.

use crate::core::ports::tool::{ToolError, ToolSpec};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The spec of a tool that takes `A`. The docs of its fields become the descriptions of the arguments.
pub fn spec<A: JsonSchema>(name: &str, description: impl Into<String>) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: Some(description.into()),
        parameters: Some(parameters::<A>()),
        ..ToolSpec::default()
    }
}

/// Everything is inlined, as models and the grammars built for them do not all follow `$ref`.
fn parameters<A: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.with_transform(RecursiveTransform(tidy)).into_generator().into_root_schema_for::<A>();
    schema.remove("description"); // the tool's own says more
    schema.to_value()
}

/// An optional argument is one that may be left out; that `null` passes as well is the registry's doing and is not
/// advertised, because some servers turn down a `type` that is a list.
fn tidy(schema: &mut Schema) {
    for noise in ["title", "format", "default"] {
        schema.remove(noise);
    }
    // Where a doc comment breaks its lines means nothing.
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(types) = schema.get_mut("type")
        && let Value::Array(names) = types
    {
        names.retain(|name| name != "null");
        if let [only] = names.as_mut_slice() {
            *types = only.take();
        }
    }
}

/// The arguments of a call. They fit the schema, so what can still be wrong is what a schema cannot say.
pub fn parse<A: DeserializeOwned>(mut arguments: Value) -> Result<A, ToolError> {
    fold_integers(&mut arguments);
    serde_json::from_value(arguments).map_err(|error| ToolError::TellModel(format!("Unusable arguments: {error}")))
}

/// To JSON Schema, and to many a model, `3.0` is an integer; to serde it is none.
fn fold_integers(value: &mut Value) {
    /// From here on a float says no longer which integer was meant.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.abs() < EXACT)
                && float.fract() == 0.0
            {
                *number = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(fold_integers),
        Value::Object(members) => members.values_mut().for_each(fold_integers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// A text among arguments that nobody has checked yet; `""` where there is none.
pub fn text_at<'a>(arguments: &'a Value, key: &str) -> &'a str {
    arguments.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    /// Docs of the struct are for people.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Arguments {
        /// Where
        /// it is.
        path: String,
        /// A field that is called like a keyword.
        title: Option<String>,
        #[schemars(range(min = 1))]
        offset: Option<u64>,
        #[serde(default)]
        flags: Vec<Flag>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Flag {
        One,
        Two,
    }

    #[test]
    fn an_integer_may_be_written_as_a_float() {
        let parsed = parse::<(u64, i64, Vec<u64>, f64)>(json!([3.0, -0.0, [1e3], 0.5])).unwrap();
        assert_eq!(parsed, (3, 0, vec![1000], 0.5));
        for none in [json!([1.5]), json!([1e300]), json!([-1.0])] {
            assert!(parse::<(u64,)>(none.clone()).is_err(), "{none}");
        }
    }

    #[test]
    fn a_schema_holds_what_a_model_needs() {
        let expected = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Where it is."},
                "title": {"type": "string", "description": "A field that is called like a keyword."},
                "offset": {"type": "integer", "minimum": 1},
                "flags": {"type": "array", "items": {"type": "string", "enum": ["one", "two"]}},
            },
            "required": ["path"],
            "additionalProperties": false,
        });
        assert_eq!(parameters::<Arguments>(), expected);
    }
}
