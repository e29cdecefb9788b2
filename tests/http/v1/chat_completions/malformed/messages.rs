//! Messages that no conversation can hold.

use super::{Case, INVALID_TYPE, patched};
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    let about = |(messages, param, code): (Value, &str, Option<&'static str>)| {
        let param = if param.is_empty() { "messages".to_owned() } else { format!("messages{param}") };
        patched(json!({"messages": messages}), &param, code)
    };
    [plain(), parts(), assistants(), tools()].into_iter().flatten().map(about).collect()
}

type Row = (Value, &'static str, Option<&'static str>);

fn plain() -> Vec<Row> {
    let mut many = vec![json!({"role": "user", "content": "Hello"}); 100_000];
    many[99_999] = json!({"role": "robot", "content": "Hello"});
    vec![
        (json!([5]), "[0]", INVALID_TYPE),
        (json!([null]), "[0]", INVALID_TYPE),
        (json!(["Hello"]), "[0]", INVALID_TYPE),
        (json!([[{"role": "user", "content": "Hello"}]]), "[0]", INVALID_TYPE),
        (json!([{}]), "[0].role", None),
        (json!([{"content": "Hello"}]), "[0].role", None),
        (json!([{"role": null, "content": "Hello"}]), "[0].role", None),
        (json!([{"role": 5, "content": "Hello"}]), "[0].role", INVALID_TYPE),
        (json!([{"role": "", "content": "Hello"}]), "[0].role", None),
        (json!([{"role": "User", "content": "Hello"}]), "[0].role", None),
        (json!([{"role": "robot", "content": "Hello"}]), "[0].role", None),
        (json!([{"role": "function", "name": "f", "content": "1"}]), "[0].role", None),
        (json!([{"role": "r".repeat(100_000), "content": "Hello"}]), "[0].role", None),
        (json!([{"role": "user"}]), "[0].content", None),
        (json!([{"role": "user", "content": null}]), "[0].content", None),
        (json!([{"role": "system"}]), "[0].content", None),
        (json!([{"role": "developer", "content": null}]), "[0].content", None),
        (json!([{"role": "user", "content": 5}]), "[0].content", INVALID_TYPE),
        (json!([{"role": "user", "content": {}}]), "[0].content", INVALID_TYPE),
        (json!([{"role": "system", "content": true}]), "[0].content", INVALID_TYPE),
        (json!([{"role": "user", "content": "Hello", "name": 5}]), "[0].name", INVALID_TYPE),
        (json!([{"role": "user", "content": "a"}, {"role": "user", "content": 5}]), "[1].content", INVALID_TYPE),
        (many.into(), "[99999].role", None),
    ]
}

fn parts() -> Vec<Row> {
    let rows: Vec<(Value, &str, Option<&str>)> = vec![
        (json!(5), "", INVALID_TYPE),
        (json!("Hello"), "", INVALID_TYPE),
        (json!({}), ".type", None),
        (json!({"type": 5}), ".type", INVALID_TYPE),
        (json!({"type": ""}), ".type", None),
        (json!({"type": "text"}), ".text", None),
        (json!({"type": "text", "text": 5}), ".text", INVALID_TYPE),
        (json!({"type": "refusal"}), ".refusal", None),
        (json!({"type": "image_url"}), ".image_url", None),
        (json!({"type": "image_url", "image_url": "https://example.com/a.png"}), ".image_url", INVALID_TYPE),
        (json!({"type": "image_url", "image_url": {}}), ".image_url.url", None),
        (json!({"type": "image_url", "image_url": {"url": 5}}), ".image_url.url", INVALID_TYPE),
        (json!({"type": "image_url", "image_url": {"url": ""}}), ".image_url.url", None),
        (json!({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}), ".image_url.url", None),
        (json!({"type": "image_url", "image_url": {"url": "javascript:alert(1)"}}), ".image_url.url", None),
        (json!({"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}}), ".image_url.url", None),
        (json!({"type": "image_url", "image_url": {"url": "a.png"}}), ".image_url.url", None),
        (json!({"type": "image_url", "image_url": {"url": " https://example.com"}}), ".image_url.url", None),
        (
            json!({"type": "image_url", "image_url": {"url": "https://example.com", "detail": 5}}),
            ".image_url.detail",
            INVALID_TYPE,
        ),
    ];
    let second = |(part, param, code): (Value, &str, _)| {
        let content = json!([{"type": "text", "text": "Look"}, part]);
        let param: &'static str = format!("[0].content[1]{param}").leak();
        (json!([{"role": "user", "content": content}]), param, code)
    };
    rows.into_iter().map(second).collect()
}

/// A conversation whose second message makes these calls.
fn calls(calls: Value) -> Value {
    json!([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": null, "tool_calls": calls}])
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

fn assistants() -> Vec<Row> {
    let said = |extra: Value| {
        let mut message = json!({"role": "assistant"});
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([{"role": "user", "content": "Hello"}, message])
    };
    vec![
        (said(json!({"content": 5})), "[1].content", INVALID_TYPE),
        (said(json!({"content": "Hi", "refusal": 5})), "[1].refusal", INVALID_TYPE),
        (said(json!({"content": "Hi", "reasoning_content": {}})), "[1].reasoning_content", INVALID_TYPE),
        (said(json!({"content": "Hi", "tool_calls": {}})), "[1].tool_calls", INVALID_TYPE),
        (said(json!({"function_call": {"name": "f", "arguments": "{}"}})), "[1].function_call", None),
        (calls(json!([5])), "[1].tool_calls[0]", INVALID_TYPE),
        (calls(json!([{}])), "[1].tool_calls[0].id", None),
        (calls(json!([{"id": 5}])), "[1].tool_calls[0].id", INVALID_TYPE),
        (calls(json!([{"id": ""}])), "[1].tool_calls[0].id", None),
        (calls(json!([{"id": "c", "type": "custom", "custom": {}}])), "[1].tool_calls[0].type", None),
        (calls(json!([{"id": "c", "type": 5}])), "[1].tool_calls[0].type", INVALID_TYPE),
        (calls(json!([{"id": "c", "type": "t".repeat(100_000)}])), "[1].tool_calls[0].type", None),
        (calls(json!([{"id": "c"}])), "[1].tool_calls[0].function", None),
        (calls(json!([{"id": "c", "function": "f"}])), "[1].tool_calls[0].function", INVALID_TYPE),
        (calls(json!([{"id": "c", "function": {"arguments": "{}"}}])), "[1].tool_calls[0].function.name", None),
        (calls(json!([{"id": "c", "function": {"name": "f"}}])), "[1].tool_calls[0].function.arguments", None),
        (
            calls(json!([{"id": "c", "function": {"name": "f", "arguments": {}}}])),
            "[1].tool_calls[0].function.arguments",
            INVALID_TYPE,
        ),
        (calls(json!([call("c"), call("c")])), "[1].tool_calls[1].id", None),
    ]
}

fn tools() -> Vec<Row> {
    let then = |made: Value, next: &[Value]| {
        let mut messages = calls(made);
        messages.as_array_mut().unwrap().extend_from_slice(next);
        messages
    };
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "1"});
    let user = || json!({"role": "user", "content": "Go on"});
    let many: Vec<Value> = (0..1000).map(|at| call(&format!("call_{at:0>200}"))).collect();
    vec![
        (json!([result("c")]), "[0].tool_call_id", None),
        (json!([user(), {"role": "tool", "content": "1"}]), "[1].tool_call_id", None),
        (json!([user(), {"role": "tool", "tool_call_id": 5, "content": "1"}]), "[1].tool_call_id", INVALID_TYPE),
        (json!([user(), {"role": "tool", "tool_call_id": "", "content": "1"}]), "[1].tool_call_id", None),
        (calls(json!([call("c")])), "[1].tool_calls", None),
        (calls(many.into()), "[1].tool_calls", None),
        (then(json!([call("c")]), &[user()]), "[1].tool_calls", None),
        (then(json!([call("a"), call("b")]), &[result("a")]), "[1].tool_calls", None),
        (then(json!([call("a"), call("b")]), &[result("a"), user(), result("b")]), "[1].tool_calls", None),
        (then(json!([call("c")]), &[result("d")]), "[2].tool_call_id", None),
        (then(json!([call("c")]), &[result("c"), result("c")]), "[3].tool_call_id", None),
        (then(json!([call("c")]), &[result("c"), user(), result("c")]), "[4].tool_call_id", None),
        (
            then(json!([call("c")]), &[json!({"role": "tool", "tool_call_id": "c", "content": 5})]),
            "[2].content",
            INVALID_TYPE,
        ),
    ]
}
