//! Fields of the wrong type or out of their range.

use super::{Case, INVALID_TYPE, patched, without};
use serde_json::{Map, Value, json};

/// Fields that take one type, each with values of all the others.
const TYPES: &[(&str, &[&str])] = &[
    ("model", &["5", "true", "[]", "{}"]),
    ("messages", &["5", "\"Hello\"", "{\"role\":\"user\",\"content\":\"Hello\"}"]),
    ("stream", &["\"true\"", "1", "[]"]),
    ("stream_options", &["true", "\"include_usage\"", "[]"]),
    ("n", &["\"1\"", "1.5", "[1]"]),
    ("temperature", &["\"hot\"", "true", "[1]", "{}"]),
    ("top_p", &["\"1\"", "[]"]),
    ("presence_penalty", &["\"1\"", "false"]),
    ("frequency_penalty", &["\"1\"", "{}"]),
    ("max_tokens", &["\"100\"", "1.5", "[]"]),
    ("max_completion_tokens", &["\"100\"", "0.1", "{}"]),
    ("seed", &["\"7\"", "1.5"]),
    ("stop", &["5", "{}", "true"]),
    ("logit_bias", &["[]", "\"50256\"", "5"]),
    ("response_format", &["\"json_object\"", "[]", "true"]),
    ("reasoning_effort", &["5", "{}"]),
    ("verbosity", &["5", "[]"]),
    ("user", &["5", "{}"]),
    ("safety_identifier", &["5"]),
    ("prompt_cache_key", &["5"]),
    ("service_tier", &["5", "[]"]),
    ("metadata", &["\"a\"", "[]", "5"]),
    ("parallel_tool_calls", &["\"yes\"", "1"]),
    ("store", &["\"yes\""]),
    ("logprobs", &["\"yes\"", "1"]),
    ("top_logprobs", &["\"3\"", "1.5", "[]"]),
    ("modalities", &["\"text\"", "{}"]),
    ("tools", &["{}", "\"terminal\"", "5"]),
    ("tool_choice", &["5", "true", "[]"]),
];

/// Values of the right type that cannot be: the patch and the field it is about.
fn out_of_range() -> Vec<(Value, &'static str)> {
    let schema = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}});
    let pairs = |count: usize| Value::from(Map::from_iter((0..count).map(|at| (format!("k{at}"), json!("v")))));
    vec![
        (json!({"model": ""}), "model"),
        (json!({"messages": []}), "messages"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options"),
        (json!({"stream": false, "stream_options": {}}), "stream_options"),
        (json!({"n": 0}), "n"),
        (json!({"n": -1}), "n"),
        (json!({"n": 2}), "n"),
        (json!({"n": 18_446_744_073_709_551_615_u64}), "n"),
        (json!({"temperature": 2.01}), "temperature"),
        (json!({"temperature": -0.1}), "temperature"),
        (json!({"temperature": 1e308}), "temperature"),
        (json!({"top_p": 1.1}), "top_p"),
        (json!({"top_p": -1}), "top_p"),
        (json!({"presence_penalty": 2.5}), "presence_penalty"),
        (json!({"frequency_penalty": -3}), "frequency_penalty"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": -5}), "max_tokens"),
        (json!({"max_tokens": 1e300}), "max_tokens"),
        (json!({"max_tokens": 9_223_372_036_854_775_808_u64}), "max_tokens"),
        (json!({"max_completion_tokens": 0}), "max_completion_tokens"),
        (json!({"seed": 9_223_372_036_854_775_808_u64}), "seed"),
        (json!({"seed": -1e19}), "seed"),
        (json!({"logit_bias": {"50256": 101}}), "logit_bias.50256"),
        (json!({"response_format": {"type": "xml"}}), "response_format.type"),
        (json!({"response_format": {}}), "response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (json!({"response_format": {"type": "json_schema", "json_schema": {}}}), "response_format.json_schema.name"),
        (schema(json!({"type": "objct"})), SCHEMA),
        (schema(json!({"properties": {"a": {"minLength": -1}}})), SCHEMA),
        (schema(json!({"required": "a"})), SCHEMA),
        (schema(json!({"$ref": "#/$defs/none"})), SCHEMA),
        (schema(json!({"$ref": "https://x/y.json"})), SCHEMA),
        (schema(json!({"$ref": "file:///etc/passwd"})), SCHEMA),
        (schema(json!({"$schema": "https://x/y.json"})), SCHEMA),
        (schema(json!({"pattern": "("})), SCHEMA),
        (schema(json!({"description": "x".repeat(256 << 10)})), SCHEMA),
        (schema(bomb(40)), SCHEMA),
        (json!({"metadata": pairs(17)}), "metadata"),
        (json!({"metadata": {"k".repeat(65): "v"}}), "metadata"),
        (json!({"metadata": {"k": "v".repeat(513)}}), "metadata.k"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"logprobs": false, "top_logprobs": 3}), "top_logprobs"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
        (json!({"logprobs": true, "top_logprobs": -1}), "top_logprobs"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"modalities": [5]}), "modalities"),
        (json!({"audio": {"voice": "alloy", "format": "mp3"}}), "audio"),
        (json!({"functions": [{"name": "f"}]}), "functions"),
        (json!({"function_call": "auto"}), "function_call"),
        (json!({"tool_choice": "sometimes"}), "tool_choice"),
    ]
}

/// Values of a wrong type within a field.
fn within() -> Vec<(Value, &'static str)> {
    let schema = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": schema}});
    vec![
        (json!({"stream": true, "stream_options": {"include_usage": "yes"}}), "stream_options.include_usage"),
        (json!({"stop": ["END", 5]}), "stop[1]"),
        (json!({"stop": [["END"]]}), "stop[0]"),
        (json!({"logit_bias": {"50256": "-100"}}), "logit_bias.50256"),
        (json!({"response_format": {"type": 5}}), "response_format.type"),
        (schema(json!("a schema")), "response_format.json_schema"),
        (schema(json!({"name": 5})), "response_format.json_schema.name"),
        (schema(json!({"name": "a", "schema": []})), "response_format.json_schema.schema"),
        (schema(json!({"name": "a", "schema": {}, "strict": "yes"})), "response_format.json_schema.strict"),
        (schema(json!({"name": "a", "description": 5})), "response_format.json_schema.description"),
        (json!({"metadata": {"k": 5}}), "metadata.k"),
        (json!({"metadata": {"k": {"deep": "er"}}}), "metadata.k"),
    ]
}

const SCHEMA: &str = "response_format.json_schema.schema";

/// A small schema that says the same thing 2 to the power of `length` times.
fn bomb(length: usize) -> Value {
    let to = |at: usize| json!({"$ref": format!("#/$defs/a{at}")});
    let link = |at: usize| (format!("a{at}"), json!({"allOf": [to(at + 1), to(at + 1)]}));
    let mut defs: Map<String, Value> = (0..length).map(link).collect();
    defs.insert(format!("a{length}"), json!({}));
    json!({"$ref": "#/$defs/a0", "$defs": defs})
}

pub fn cases() -> Vec<Case> {
    let types = TYPES.iter().flat_map(|(field, values)| {
        let case = |value: &&str| {
            let value: Value = serde_json::from_str(value).unwrap();
            patched(json!({*field: value}), field, INVALID_TYPE)
        };
        values.iter().map(case).collect::<Vec<_>>()
    });
    let out_of_range = out_of_range().into_iter().map(|(patch, param)| patched(patch, param, None));
    let within = within().into_iter().map(|(patch, param)| patched(patch, param, INVALID_TYPE));
    let unknown = ["gpt-4", "nuncio ", "Nuncio", "a\0b", "a\u{2028}b", "../nuncio", &"m".repeat(10 << 20)];
    let unknown = unknown
        .into_iter()
        .map(|model| Case { status: 404, ..patched(json!({"model": model}), "model", Some("model_not_found")) });
    let missing = ["model", "messages"].into_iter().map(without);
    let null = ["model", "messages"].into_iter().map(|field| patched(json!({field: null}), field, None));
    missing.chain(null).chain(types).chain(out_of_range).chain(within).chain(unknown).collect()
}
