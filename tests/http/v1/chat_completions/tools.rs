//! The client's tools beside the server's.

use super::{Recorded, sent_on, with};
use crate::recorder::{calls, says};
use serde_json::{Value, json};

const PROFILE: &str = "{tools: [list_files, read_file]}";

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}})
}

/// The definitions of the server's two tools, as an upstream gets them.
async fn servers(recorded: &Recorded) -> [Value; 2] {
    let mut body = recorded.forwarded(&with(json!({}))).await;
    let tools = body["tools"].take();
    let names: Vec<&str> =
        tools.as_array().unwrap().iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list_files", "read_file"]);
    [tools[0].clone(), tools[1].clone()]
}

#[tokio::test]
async fn both_sides_tools_are_offered_and_the_clients_hides_the_servers() {
    let recorded = Recorded::with(PROFILE).await;
    let [list, read] = servers(&recorded).await;
    let rich = json!({"type": "function", "function": {
        "name": "get_weather",
        "description": "The weather",
        "strict": true,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "$defs": {}},
        "examples": [1],
    }, "cache_control": {"type": "ephemeral"}});
    let bare = json!({"type": "function", "function": {"name": "bare"}});
    let search = json!({"type": "web_search", "search_context_size": "low"});
    // The client's tools and what is offered to the model.
    let cases = [
        (json!([rich]), json!([list, read, rich])),
        (json!([bare]), json!([list, read, function("bare")])),
        (json!([function("read_file")]), json!([list, function("read_file")])),
        (
            json!([function("read_file"), function("list_files")]),
            json!([function("read_file"), function("list_files")]),
        ),
        (json!([search]), json!([list, read])),
        (json!([search, function("f")]), json!([list, read, function("f")])),
        (Value::Null, json!([list, read])),
    ];
    for (sent, offered) in cases {
        let body = recorded.forwarded(&with(json!({"tools": sent}))).await;
        assert_eq!(body, sent_on(json!({"tools": offered})), "{sent}");
    }
}

#[tokio::test]
async fn no_tools_means_no_tools() {
    let recorded = Recorded::with(PROFILE).await;
    let cases = [
        json!({"tools": []}),
        json!({"tools": [], "tool_choice": "none"}),
        json!({"tools": [], "tool_choice": "auto", "parallel_tool_calls": true}),
        json!({"tool_choice": "none"}),
        json!({"tools": [function("f")], "tool_choice": "none"}),
    ];
    for sent in cases {
        assert_eq!(recorded.forwarded(&with(sent.clone())).await, sent_on(json!({})), "{sent}");
    }
}

#[tokio::test]
async fn the_choice_among_tools_arrives() {
    let recorded = Recorded::with(PROFILE).await;
    let [list, read] = servers(&recorded).await;
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let cases = [
        (json!("auto"), None),
        (json!("required"), Some(json!("required"))),
        (named("f"), Some(named("f"))),
        (named("read_file"), Some(named("read_file"))),
    ];
    for (sent, arrived) in cases {
        let body = with(json!({"tools": [function("f")], "tool_choice": sent, "parallel_tool_calls": false}));
        let mut expected = sent_on(json!({"tools": [list, read, function("f")], "parallel_tool_calls": false}));
        if let Some(arrived) = arrived {
            expected["tool_choice"] = arrived;
        }
        assert_eq!(recorded.forwarded(&body).await, expected, "{sent}");
    }
}

#[tokio::test]
async fn a_call_of_the_clients_tool_ends_the_turn_and_its_result_goes_on() {
    let answers = vec![calls("read_file", r#"{"path":"of the client"}"#), says("I have read it.")];
    let recorded = Recorded::answering(PROFILE, answers).await;
    let request = with(json!({"tools": [function("read_file")], "tool_choice": "required"}));
    let (status, answer) = recorded.post(&request).await;
    let choice = &answer["choices"][0];
    let id = choice["message"]["tool_calls"][0]["id"].clone();
    let call = json!({"id": id, "type": "function", "function": {"name": "read_file", "arguments": "{\"path\":\"of the client\"}"}});
    let message = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]});
    assert_eq!(
        (status, choice),
        (200, &json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls"}))
    );

    let history = json!([
        {"role": "user", "content": "Hello"},
        message,
        {"role": "tool", "tool_call_id": id, "content": "its content"},
    ]);
    let (status, answer) = recorded.post(&with(json!({"messages": history, "tools": [function("read_file")]}))).await;
    assert_eq!((status, &answer["choices"][0]["message"]["content"]), (200, &json!("I have read it.")));
    let bodies = recorded.upstream.bodies().await;
    let sent: Vec<(&Value, &Value)> = bodies.iter().map(|body| (&body["messages"], &body["tool_choice"])).collect();
    let expected = json!([
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": "its content"},
    ]);
    assert_eq!(sent, [(&json!([{"role": "user", "content": "Hello"}]), &json!("required")), (&expected, &Value::Null)]);
}

#[tokio::test]
async fn a_demand_for_a_tool_holds_for_the_first_call_alone() {
    let answers = vec![calls("list_files", "{}"), says("There is nothing.")];
    let recorded = Recorded::answering(PROFILE, answers).await;
    let (status, answer) = recorded.post(&with(json!({"tool_choice": "required"}))).await;
    assert_eq!((status, &answer["choices"][0]["message"]["content"]), (200, &json!("There is nothing.")));
    let choices: Vec<Value> = recorded.upstream.bodies().await.iter().map(|body| body["tool_choice"].clone()).collect();
    assert_eq!(choices, [json!("required"), Value::Null]);
}
