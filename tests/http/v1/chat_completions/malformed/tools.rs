//! Tools that cannot be offered, and choices that cannot be made.

use super::{Case, INVALID_TYPE, patched};
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    tools().into_iter().chain(choices()).map(|(patch, param, code)| patched(patch, param, code)).collect()
}

type Row = (Value, &'static str, Option<&'static str>);

fn tools() -> Vec<Row> {
    let function = |function: Value| json!({"tools": [{"type": "function", "function": function}]});
    let many: Vec<Value> =
        (0..100_000).map(|at| json!({"type": "function", "function": {"name": format!("f{at}")}})).collect();
    vec![
        (json!({"tools": [5]}), "tools[0]", INVALID_TYPE),
        (json!({"tools": ["terminal"]}), "tools[0]", INVALID_TYPE),
        (json!({"tools": [{}]}), "tools[0].type", None),
        (json!({"tools": [{"type": 5}]}), "tools[0].type", INVALID_TYPE),
        (json!({"tools": [{"name": "f", "description": "A tool of the Responses API"}]}), "tools[0].type", None),
        (json!({"tools": [{"type": "custom", "custom": {"name": "f"}}]}), "tools[0].type", None),
        (json!({"tools": [{"type": "mcp", "server_label": "x"}]}), "tools[0].type", None),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function", None),
        (json!({"tools": [{"type": "function", "function": "f"}]}), "tools[0].function", INVALID_TYPE),
        (json!({"tools": [{"type": "function", "name": "f", "parameters": {}}]}), "tools[0].function", None),
        (function(json!({})), "tools[0].function.name", None),
        (function(json!({"name": null})), "tools[0].function.name", None),
        (function(json!({"name": 5})), "tools[0].function.name", INVALID_TYPE),
        (function(json!({"name": ""})), "tools[0].function.name", None),
        (function(json!({"name": "get weather"})), "tools[0].function.name", None),
        (function(json!({"name": "wetter_für_köln"})), "tools[0].function.name", None),
        (function(json!({"name": "a\0b"})), "tools[0].function.name", None),
        (function(json!({"name": "n".repeat(129)})), "tools[0].function.name", None),
        (function(json!({"name": "n".repeat(10 << 20)})), "tools[0].function.name", None),
        (function(json!({"name": "f", "description": 5})), "tools[0].function.description", INVALID_TYPE),
        (function(json!({"name": "f", "parameters": "{}"})), "tools[0].function.parameters", INVALID_TYPE),
        (function(json!({"name": "f", "parameters": []})), "tools[0].function.parameters", INVALID_TYPE),
        (function(json!({"name": "f", "strict": "yes"})), "tools[0].function.strict", INVALID_TYPE),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}]}),
            "tools[1].function.name",
            None,
        ),
        (json!({"tools": many}), "tools", None),
    ]
}

fn choices() -> Vec<Row> {
    let choice = |choice: Value| json!({"tool_choice": choice});
    let named = |name: Value| choice(json!({"type": "function", "function": {"name": name}}));
    vec![
        (choice(json!("")), "tool_choice", None),
        (choice(json!({})), "tool_choice.type", None),
        (choice(json!({"type": 5})), "tool_choice.type", INVALID_TYPE),
        (choice(json!({"type": "allowed_tools", "allowed_tools": {}})), "tool_choice.type", None),
        (choice(json!({"type": "t".repeat(100_000)})), "tool_choice.type", None),
        (choice(json!({"type": "function"})), "tool_choice.function", None),
        (choice(json!({"type": "function", "name": "f"})), "tool_choice.function", None),
        (choice(json!({"type": "function", "function": "f"})), "tool_choice.function", INVALID_TYPE),
        (choice(json!({"type": "function", "function": {}})), "tool_choice.function.name", None),
        (named(json!(5)), "tool_choice.function.name", INVALID_TYPE),
        (named(json!("")), "tool_choice.function.name", None),
        (named(json!("a\0b")), "tool_choice.function.name", None),
        (named(json!("n".repeat(10 << 20))), "tool_choice.function.name", None),
        (named(json!("no_such_tool")), "tool_choice", None),
        (json!({"tools": [], "tool_choice": "required"}), "tool_choice", None),
        (
            json!({"tools": [], "tool_choice": {"type": "function", "function": {"name": "terminal"}}}),
            "tool_choice",
            None,
        ),
    ]
}
