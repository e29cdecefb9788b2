//! Requests that cannot be served: each is told which field is at fault and what to do.

use super::*;

fn with(key: &str, value: Value) -> Value {
    let mut body = json!({"model": "nuncio", "input": "say: Hello"});
    body[key] = value;
    body
}

fn item(item: Value) -> Value {
    with("input", json!([item]))
}

fn tool(tool: Value) -> Value {
    with("tools", json!([tool]))
}

fn part(part: Value) -> Value {
    item(json!({"role": "user", "content": [part]}))
}

/// Items that no request can be made of.
fn items() -> Vec<Value> {
    let call = |kind: &str| json!({"type": kind, "call_id": "c", "name": "ask", "arguments": "{}"});
    vec![
        json!("text"),
        json!({}),
        json!({"type": 7}),
        json!({"type": "robot", "id": "r"}),
        json!({"id": "msg_1", "content": "x"}),
        json!({"type": "compaction", "id": "c"}),
        json!({"type": "compaction", "id": "c", "encrypted_content": 7}),
        json!({"type": "compaction", "id": "c", "encrypted_content": "gAAAAABpM0Yj-...="}),
        json!({"type": "compaction_trigger"}),
        json!({"type": "configuration_update"}),
        json!({"type": "additional_tools", "role": "developer", "tools": []}),
        json!({"type": "web_search_call", "id": 7}),
        json!({"type": "web_search_call", "id": "ws_1", "status": {}}),
        json!({"type": "shell_call", "id": "sh_1", "call_id": "c"}),
        json!({"type": "computer_call_output", "call_id": "c", "output": {}}),
        json!({"type": "item_reference"}),
        json!({"type": "item_reference", "id": 7}),
        json!({"type": "item_reference", "id": ""}),
        json!({"type": "item_reference", "id": "msg_unknown"}),
        json!({"id": "mcp_unknown"}),
        json!({"type": "message", "content": "x"}),
        json!({"role": "tool", "content": "x"}),
        json!({"role": "robot", "content": "x"}),
        json!({"role": "user"}),
        json!({"role": "user", "content": 7}),
        json!({"role": "user", "content": "x", "id": 7}),
        json!({"role": "assistant", "content": "x", "phase": "overture"}),
        json!({"role": "assistant", "content": "x", "phase": 7}),
        json!({"role": "assistant", "content": "x", "status": 7}),
        json!({"role": "assistant", "content": [{"type": "input_image", "image_url": "data:x"}]}),
        json!({"role": "assistant", "content": [{"type": "input_file", "file_data": "data:x"}]}),
        json!({"type": "function_call", "name": "ask", "arguments": "{}"}),
        json!({"type": "function_call", "call_id": "c", "arguments": "{}"}),
        json!({"type": "function_call", "call_id": "c", "name": "ask", "arguments": {}}),
        call("function_call"),
        json!({"type": "custom_tool_call", "call_id": "c", "name": "ask"}),
        json!({"type": "custom_tool_call", "call_id": "c", "name": "ask", "input": "x"}),
        json!({"type": "custom_tool_call_output", "call_id": "c", "output": "x"}),
        json!({"type": "function_call_output", "call_id": "c"}),
        json!({"type": "function_call_output", "call_id": "c", "output": 7}),
        json!({"type": "function_call_output", "call_id": "c", "output": "x"}),
        json!({"type": "reasoning", "id": "r", "content": "x"}),
        json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text"}]}),
        json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": 7}),
        json!({"type": "mcp_call", "name": "ask", "arguments": "{}"}),
        json!({"type": "mcp_call", "id": "m", "name": "ask"}),
    ]
}

/// Parts that no message can be made of.
fn parts() -> Vec<Value> {
    vec![
        json!({"text": "x"}),
        json!({"type": "text", "text": "x"}),
        json!({"type": "input_text"}),
        json!({"type": "refusal", "refusal": "x"}),
        json!({"type": "input_image"}),
        json!({"type": "input_image", "image_url": "file:///etc/passwd"}),
        json!({"type": "input_image", "file_id": "file_1"}),
        json!({"type": "input_file"}),
        json!({"type": "input_file", "file_data": 7}),
        json!({"type": "input_file", "file_data": "data:x", "filename": 7}),
        json!({"type": "input_file", "file_id": "file_1"}),
        json!({"type": "input_file", "file_url": "https://x/y.pdf"}),
        json!({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}),
        json!({"type": "input_video", "video_url": "https://x/y.mp4"}),
    ]
}

fn tools() -> Vec<Value> {
    vec![
        json!(7),
        json!({"name": "ask"}),
        json!({"type": "function"}),
        json!({"type": "function", "function": {"name": "ask"}}),
        json!({"type": "function", "name": "two words"}),
        json!({"type": "function", "name": "ask", "parameters": "x"}),
        json!({"type": "function", "name": "ask", "description": 7}),
        json!({"type": "function", "name": "ask", "strict": "yes"}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x"}),
        json!({"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"}),
        json!({"type": "mcp", "server_url": "https://x", "require_approval": "never"}),
        json!({"type": "mcp", "server_label": "two words", "server_url": "https://x", "require_approval": "never"}),
        json!({"type": "mcp", "server_label": "x", "require_approval": "never"}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "always"}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "never", "headers": {"a": 1}}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "never", "headers": {"two words": "a"}}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "never", "headers": {"a": "b\r\nc: d"}}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "never", "allowed_tools": {"read_only": true}}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "never", "allowed_tools": [1]}),
        json!({"type": "mcp", "server_label": "x", "server_url": "https://x", "require_approval": "never"}),
    ]
}

fn bodies() -> Vec<Value> {
    let ask = json!({"type": "function", "name": "ask"});
    let mut bodies = vec![
        json!([]),
        json!({}),
        json!({"model": 7, "input": "x"}),
        json!({"model": "", "input": "x"}),
        json!({"model": "nobody", "input": "x"}),
        json!({"model": "nuncio"}),
        json!({"model": "nuncio", "messages": [{"role": "user", "content": "x"}]}),
        with("tools", json!([ask, ask])),
        json!({"model": "nuncio", "input": "say: Hello", "background": true, "store": false}),
        json!({"model": "nuncio", "input": "say: Hello", "conversation": "c", "previous_response_id": "resp_1"}),
        json!({"model": "nuncio", "input": "say: Hello", "conversation": "é".repeat(129)}),
        with("metadata", json!({"k": "v".repeat(513)})),
        with("metadata", json!({"k".repeat(65): "v"})),
        with("metadata", (0..17).map(|at| (at.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>().into()),
        with("prompt_cache_key", json!("k".repeat(65))),
        with("safety_identifier", json!("k".repeat(65))),
    ];
    bodies.extend([json!(7), json!([]), json!({}), json!(true)].map(|input| with("input", input)));
    bodies.extend(items().into_iter().map(item));
    bodies.extend(parts().into_iter().map(part));
    bodies.extend(tools().into_iter().map(tool));
    bodies.extend(FIELDS.iter().map(|(key, value)| with(key, serde_json::from_str(value).unwrap())));
    bodies
}

const FIELDS: &[(&str, &str)] = &[
    ("stream", "\"yes\""),
    ("stream_options", "{}"),
    ("store", "1"),
    ("instructions", "{}"),
    ("instructions", "[\"x\"]"),
    ("previous_response_id", "[]"),
    ("previous_response_id", "\"\""),
    ("previous_response_id", "\"resp_unknown\""),
    ("conversation", "7"),
    ("conversation", "true"),
    ("conversation", "[]"),
    ("conversation", "{}"),
    ("conversation", "{\"id\": 7}"),
    ("conversation", "{\"id\": \"\"}"),
    ("conversation", "{\"id\": \"my-project\"}"),
    ("conversation", "{\"id\": \"conv_unknown\"}"),
    ("conversation", "\"conv_unknown\""),
    ("conversation", "\"\""),
    ("conversation", "\"one\\ntwo\""),
    ("conversation", "\"nul\\u0000\""),
    ("prompt", "{\"id\": \"p\"}"),
    ("context_management", "{}"),
    ("context_management", "[7]"),
    ("context_management", "[{}]"),
    ("context_management", "[{\"type\": \"clear_tool_uses\"}]"),
    ("context_management", "[{\"type\": \"compaction\", \"compact_threshold\": 0}]"),
    ("context_management", "[{\"type\": \"compaction\", \"compact_threshold\": \"many\"}]"),
    ("context_management", "[{\"type\": \"compaction\"}, {\"type\": \"compaction\"}]"),
    ("moderation", "{\"model\": \"m\"}"),
    ("image", "{\"context_compression\": \"enabled\"}"),
    ("access_programs", "{\"cyber\": \"daybreak_red\"}"),
    ("background", "\"no\""),
    ("truncation", "\"banana\""),
    ("truncation", "7"),
    ("include", "\"all\""),
    ("include", "[\"everything\"]"),
    ("include", "[7]"),
    ("top_logprobs", "-1"),
    ("top_logprobs", "21"),
    ("top_logprobs", "\"all\""),
    ("max_tool_calls", "0"),
    ("max_tool_calls", "1.5"),
    ("max_tokens", "3"),
    ("max_completion_tokens", "3"),
    ("max_output_tokens", "15"),
    ("max_output_tokens", "\"many\""),
    ("temperature", "3"),
    ("top_p", "\"x\""),
    ("presence_penalty", "[]"),
    ("frequency_penalty", "-3"),
    ("parallel_tool_calls", "\"no\""),
    ("metadata", "{\"k\": 1}"),
    ("metadata", "[]"),
    ("service_tier", "\"gold\""),
    ("service_tier", "7"),
    ("prompt_cache_retention", "24"),
    ("prompt_cache_options", "\"explicit\""),
    ("prompt_cache_options", "{\"prewarm\": true}"),
    ("reasoning", "\"high\""),
    ("reasoning", "{\"effort\": \"extreme\"}"),
    ("reasoning", "{\"effort\": 7}"),
    ("reasoning", "{\"summary\": true}"),
    ("reasoning", "{\"summary\": \"long\"}"),
    ("text", "\"json\""),
    ("text", "{\"verbosity\": \"loud\"}"),
    ("text", "{\"format\": {\"type\": \"xml\"}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"schema\": {}}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\"}}"),
    ("text", "{\"format\": \"json_object\"}"),
    ("text", "{\"format\": {\"type\": 7}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"two words\", \"schema\": {}}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": \"x\"}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {}, \"strict\": \"yes\"}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {}, \"description\": 7}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {\"type\": \"objct\"}}}"),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {\"$ref\": \"#/$defs/none\"}}}"),
    (
        "text",
        "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {\"$ref\": \"https://x/y.json\"}}}",
    ),
    (
        "text",
        "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {\"$schema\": \"https://x/y.json\"}}}",
    ),
    ("text", "{\"format\": {\"type\": \"json_schema\", \"name\": \"n\", \"schema\": {\"pattern\": \"(\"}}}"),
    ("response_format", "{\"type\": \"json_object\"}"),
    ("tool_choice", "\"maybe\""),
    ("tool_choice", "7"),
    ("tool_choice", "{\"type\": \"web_search\"}"),
    ("tool_choice", "{\"type\": \"custom\", \"name\": \"a\"}"),
    ("tool_choice", "{\"type\": \"mcp\", \"server_label\": \"nuncio\"}"),
    ("tool_choice", "{\"type\": \"function\"}"),
    ("tool_choice", "{\"type\": \"function\", \"name\": \"unknown\"}"),
    ("tool_choice", "{\"type\": \"allowed_tools\", \"tools\": []}"),
    ("tool_choice", "{\"type\": \"allowed_tools\", \"tools\": [{\"type\": \"function\", \"name\": \"unknown\"}]}"),
    (
        "tool_choice",
        "{\"type\": \"allowed_tools\", \"mode\": \"none\", \"tools\": [{\"type\": \"function\", \"name\": \"a\"}]}",
    ),
    ("tool_choice", "{\"type\": \"allowed_tools\", \"tools\": [{\"type\": \"mcp\", \"server_label\": \"x\"}]}"),
    ("tool_choice", "{\"type\": \"allowed_tools\", \"tools\": \"all\"}"),
    ("safety_identifier", "7"),
    ("user", "{}"),
];

#[tokio::test]
async fn every_malformed_request_is_told_what_is_wrong_with_it() {
    let daemon = Daemon::rehearsing();
    let mut told = Vec::new();
    for body in bodies() {
        let (status, answer) = post(&daemon, &body).await;
        let error = answer["error"].as_object().unwrap_or_else(|| panic!("{body} is answered with {answer}"));
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
        assert!((400..500).contains(&status), "{body} is answered with {status}");
        let mut short = body.clone();
        // What is the same in nearly all of them says nothing.
        if let Some(map) = short.as_object_mut() {
            map.retain(|_, value| value != "nuncio" && value != "say: Hello");
        }
        let short: String = short.to_string().chars().take(160).collect();
        let (param, code) = (error["param"].as_str().unwrap_or("-"), error["code"].as_str().unwrap_or("-"));
        told.push(format!("{short}\n    {status} {code} {param}: {}", error["message"].as_str().unwrap()));
    }
    assert!(told.len() >= 150, "{}", told.len());
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn what_is_asked_about_no_conversation_is_told_so() {
    let daemon = Daemon::rehearsing();
    let item = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    let bodies = [
        (json!([]), 400, Value::Null),
        (json!({"input": "x"}), 400, json!("model")),
        (json!({"model": "nuncio"}), 400, json!("input")),
        (json!({"model": "nuncio", "input": []}), 400, json!("input")),
        (json!({"model": "nuncio", "input": [{"type": "image"}]}), 400, json!("input[0].type")),
        (json!({"model": "nuncio", "input": [item]}), 400, json!("input")),
        (json!({"model": "nobody", "input": "x"}), 404, json!("model")),
        (json!({"model": "nuncio", "input": "x", "instructions": []}), 400, json!("instructions")),
        (json!({"model": "nuncio", "previous_response_id": 7}), 400, json!("previous_response_id")),
        (json!({"model": "nuncio", "previous_response_id": "resp_x"}), 404, json!("previous_response_id")),
    ];
    for path in ["compact", "input_tokens"] {
        let url = daemon.url(&format!("/v1/responses/{path}"));
        for (body, expected, param) in &bodies {
            let (status, answer) = answer(client().post(&url).json(body)).await;
            assert_eq!((status, &answer["error"]["param"]), (*expected, param), "{path} {body}: {answer}");
        }
        assert_eq!(answer(client().get(&url)).await.0, 405);
    }
}

#[tokio::test]
async fn malformed_queries_are_told_what_is_wrong_with_them() {
    let daemon = Daemon::rehearsing();
    let (_, kept) = post(&daemon, &with("metadata", json!({}))).await;
    let id = kept["id"].as_str().unwrap();
    let told = [
        ("", 200, Value::Null),
        ("?stream=false", 200, Value::Null),
        ("?stream=yes", 400, json!("stream")),
        ("?starting_after=3", 400, json!("starting_after")),
        ("?stream=true&starting_after=-1", 400, json!("starting_after")),
        ("?stream=true&starting_after=x", 400, json!("starting_after")),
        ("/input_items?limit=0", 400, json!("limit")),
        ("/input_items?limit=101", 400, json!("limit")),
        ("/input_items?order=up", 400, json!("order")),
        ("/input_items?after=nothing", 400, json!("after")),
        ("/cancel", 405, Value::Null),
        ("%ff", 404, json!("id")),
    ];
    for (query, expected, param) in told {
        let (status, answer) = get(&daemon, &format!("{id}{query}")).await;
        assert_eq!((status, &answer["error"]["param"]), (expected, &param), "{query}: {answer}");
    }
}
