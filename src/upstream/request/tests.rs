use super::*;
use crate::core::format::{JsonSchema, Shape};
use crate::core::item::{Item, Message, Origin, Part, Phase, Reasoning, Role, Status, ToolCall, ToolHome, ToolOutput};
use crate::core::logprob::{Likely, Logprob};
use crate::core::ports::tool::ToolList;
use crate::core::sealed::Sealed;
use std::sync::Arc;

fn message(role: Role, content: Vec<Part>) -> Item {
    Item::Message(Message { content, ..Message::of(role, "") })
}

fn said(role: Role, text: &str) -> Item {
    Item::Message(Message::of(role, text))
}

fn thought(text: &str) -> Item {
    Item::Reasoning(Reasoning { text: text.into(), ..Reasoning::blank("rs_1".into(), Status::Completed) })
}

fn sealed(maker: &str, text: &str, blocks: Value) -> Item {
    let Item::Reasoning(reasoning) = thought(text) else { unreachable!() };
    let sealed = Sealed { maker: maker.into(), blocks: serde_json::from_value(blocks).unwrap() };
    Item::Reasoning(Reasoning { sealed: Some(sealed), ..reasoning })
}

fn call(call_id: &str, name: &str, arguments: &str) -> Item {
    let (call_id, name, arguments) = (call_id.into(), name.into(), arguments.into());
    let (id, origin, status) = ("fc_1".into(), Origin::Server, Status::Completed);
    Item::ToolCall(ToolCall { id, call_id, name, arguments, origin, home: None, status, extra: Map::new() })
}

fn output(call_id: &str, parts: &[&str], failed: bool) -> Item {
    let content = parts.iter().copied().map(Part::text).collect();
    Item::ToolOutput(ToolOutput { id: "fo_1".into(), call_id: call_id.into(), content, failed, extra: Map::new() })
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), ..ToolSpec::default() }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn request(items: Vec<Item>) -> ModelRequest {
    ModelRequest {
        instructions: None,
        items: items.into_iter().map(Arc::new).collect(),
        tools: ToolList::default(),
        tool_choice: ToolChoice::Auto,
        format: None,
        params: Arc::default(),
        max_output_tokens: None,
    }
}

fn body(request: &ModelRequest) -> Value {
    body_with(request, FormatSupport::Passed)
}

fn body_with(request: &ModelRequest, format_support: FormatSupport) -> Value {
    let body = Body { model: "m", maker: "it", request, limit_field: "max_tokens", format_support };
    serde_json::from_slice(&body.written().unwrap().joined()).unwrap()
}

fn messages(request: &ModelRequest) -> Value {
    body(request)["messages"].take()
}

#[test]
fn a_whole_turn_becomes_the_messages_a_chat_server_expects() {
    let mut named = Message::of(Role::User, "Which?");
    named.extra = map(json!({"name": "Ann", "content": "not this"}));
    let request = ModelRequest {
        instructions: Some("Be an agent.".into()),
        ..request(vec![
            said(Role::System, "Be kind."),
            said(Role::Developer, "Be short."),
            said(Role::User, "Hello"),
            thought("an old thought"),
            said(Role::Assistant, "Hi"),
            said(Role::System, "It is noon."),
            Item::Message(named),
            thought("first "),
            thought("think"),
            said(Role::Assistant, "Looking."),
            call("c1", "ls", "{\"a\": 1}"),
            call("c2", "cat", ""),
            said(Role::Assistant, "Still."),
            output("c1", &["one", "two"], false),
            output("c2", &["no such file"], true),
            call("c3", "ls", "[1]"),
            output("c3", &[], false),
        ])
    };
    let calls = json!([
        {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{\"a\": 1}"}},
        {"id": "c2", "type": "function", "function": {"name": "cat", "arguments": "{}"}},
    ]);
    let last = json!([
        {"id": "c3", "type": "function", "function": {"name": "ls", "arguments": "{\"invalid_arguments\":\"[1]\"}"}},
    ]);
    let expected = json!([
        {"role": "system", "content": "Be an agent.\n\nBe kind.\n\nBe short."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "system", "content": "It is noon."},
        {"role": "user", "content": "Which?", "name": "Ann"},
        {"role": "assistant", "content": "Looking.\n\nStill.", "reasoning_content": "first think", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "one\ntwo"},
        {"role": "tool", "tool_call_id": "c2", "content": "no such file"},
        {"role": "assistant", "content": null, "tool_calls": last},
        {"role": "tool", "tool_call_id": "c3", "content": ""},
    ]);
    assert_eq!(messages(&request), expected);
}

#[test]
fn parts_stay_parts_only_where_a_string_would_lose_something() {
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}});
    let cached = json!({"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}});
    let image = |detail| Part::Image { url: "data:image/png;base64,AA".into(), detail };
    let (low, plain) = (image(Some("low".into())), image(None));
    let file = |name: Option<&str>| Part::File { name: name.map(Into::into), data: "data:,x".into() };
    let opaque = |value: &Value| Part::Opaque { value: value.clone() };
    let with_parts = ModelRequest {
        instructions: Some("Be an agent.".into()),
        ..request(vec![
            message(Role::System, vec![opaque(&cached)]),
            message(Role::User, vec![Part::text("See"), low, plain, opaque(&audio), file(Some("a.pdf")), file(None)]),
            message(Role::Assistant, vec![Part::Refusal { refusal: "No.".into() }]),
            message(Role::User, vec![]),
            message(Role::Assistant, vec![]),
        ])
    };
    let expected = json!([
        {"role": "system", "content": [{"type": "text", "text": "Be an agent.\n\n"}, cached]},
        {"role": "user", "content": [
            {"type": "text", "text": "See"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            audio,
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:,x"}},
            {"type": "file", "file": {"file_data": "data:,x"}},
        ]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
    ]);
    assert_eq!(messages(&with_parts), expected);
}

/// Chat lets a tool say text alone, and the outputs of one message must follow it without a gap.
#[test]
fn images_of_tools_are_shown_after_the_last_output_of_their_step() {
    let url = |kind: &str| format!("data:image/{kind};base64,{}", "A".repeat(4000));
    let image = |kind| Part::Image { url: url(kind), detail: None };
    let showing = |call_id: &str, content: Vec<Part>| {
        let Item::ToolOutput(output) = output(call_id, &[], false) else { unreachable!() };
        Item::ToolOutput(ToolOutput { content, ..output })
    };
    let shown = |call_id: &str, name: &str, kind: &str| {
        let label = format!("The image that {name} gave (call {call_id}):");
        [json!({"type": "text", "text": label}), json!({"type": "image_url", "image_url": {"url": url(kind)}})]
    };
    let sent = messages(&request(vec![
        said(Role::User, "go"),
        call("c1", "look", "{}"),
        call("c2", "ls", "{}"),
        call("c3", "draw", "{}"),
        showing("c1", vec![Part::text("a.png"), image("png")]),
        output("c2", &["b"], false),
        showing("c3", vec![image("gif"), image("webp")]),
        call("c4", "look", "{}"),
        showing("c4", vec![image("jpeg")]),
    ]));
    let calls = |calls: &[(&str, &str)]| {
        let call = |(id, name): &(&str, &str)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
        json!({"role": "assistant", "content": null, "tool_calls": calls.iter().map(call).collect::<Vec<_>>()})
    };
    let first = [shown("c1", "look", "png"), shown("c3", "draw", "gif"), shown("c3", "draw", "webp")].concat();
    let expected = json!([
        {"role": "user", "content": "go"},
        calls(&[("c1", "look"), ("c2", "ls"), ("c3", "draw")]),
        {"role": "tool", "tool_call_id": "c1", "content": "a.png\n[image/png, 3 KB]"},
        {"role": "tool", "tool_call_id": "c2", "content": "b"},
        {"role": "tool", "tool_call_id": "c3", "content": "[image/gif, 3 KB]\n[image/webp, 3 KB]"},
        {"role": "user", "content": first},
        calls(&[("c4", "look")]),
        {"role": "tool", "tool_call_id": "c4", "content": "[image/jpeg, 3 KB]"},
        {"role": "user", "content": shown("c4", "look", "jpeg")},
    ]);
    assert_eq!(sent, expected);
}

#[test]
fn what_a_chat_server_cannot_take_is_left_out_or_mended() {
    let function = json!({"role": "function", "name": "f", "content": "1"});
    let odd = request(vec![
        said(Role::Assistant, "one"),
        said(Role::Assistant, "two"),
        said(Role::User, "Hello"),
        Item::Opaque { value: function.clone() },
        Item::Opaque { value: json!({"type": "web_search_call", "id": "ws_1"}) },
        said(Role::User, "?"),
        call("c1", "näme with spaces", "{\"cut"),
        call("c2", "", "{}"),
        output("c2", &["ok"], false),
        thought("and nothing else"),
    ]);
    let calls = json!([
        {"id": "c1", "type": "function", "function":
            {"name": "n_me_with_spaces", "arguments": "{\"invalid_arguments\":\"{\\\"cut\"}"}},
        {"id": "c2", "type": "function", "function": {"name": "unnamed", "arguments": "{}"}},
    ]);
    let expected = json!([
        {"role": "assistant", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "Hello"},
        function,
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c2", "content": "ok"},
    ]);
    assert_eq!(messages(&odd), expected);
}

#[test]
fn params_pass_and_never_override_what_is_ours() {
    let params = json!({
        "model": "x", "messages": [], "stream": false, "stream_options": {}, "tools": [1], "tool_choice": "none",
        "temperature": 0.5, "seed": 7, "parallel_tool_calls": true, "top_k": 3, "max_tokens": 900,
    });
    let mut request = ModelRequest { params: Arc::new(map(params)), ..request(vec![said(Role::User, "Hello")]) };
    let mut expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": true,
        "stream_options": {"include_usage": true}, "temperature": 0.5, "seed": 7, "top_k": 3, "max_tokens": 900,
    });
    assert_eq!(body(&request), expected);

    request.max_output_tokens = Some(50);
    request.tools = ToolList::from([
        tool("ls"),
        ToolSpec {
            description: Some("Reads.".into()),
            parameters: Some(json!({"type": "object", "required": ["path"]})),
            strict: Some(true),
            extra: map(json!({"x": 1})),
            beside: map(json!({"cache_control": {"type": "ephemeral"}})),
            ..tool("read")
        },
    ]);
    request.tool_choice = ToolChoice::Function("ls".into());
    expected["max_tokens"] = 50.into();
    expected["parallel_tool_calls"] = true.into();
    expected["tools"] = json!([
        {"type": "function", "function": {"name": "ls", "parameters": {"type": "object", "properties": {}}}},
        {"type": "function", "function": {"name": "read", "description": "Reads.", "strict": true,
            "parameters": {"type": "object", "required": ["path"]}, "x": 1}, "cache_control": {"type": "ephemeral"}},
    ]);
    expected["tool_choice"] = json!({"type": "function", "function": {"name": "ls"}});
    assert_eq!(body(&request), expected);
}

#[test]
fn the_output_limit_goes_under_one_name() {
    for (params, name) in [(json!({}), "max_tokens"), (json!({"max_completion_tokens": 9}), "max_completion_tokens")] {
        let params = Arc::new(map(params));
        let request = ModelRequest { params, max_output_tokens: Some(5), ..request(vec![]) };
        let limits: Vec<_> = map(body(&request)).into_iter().filter(|(key, _)| key.starts_with("max_")).collect();
        assert_eq!(limits, [(name.to_owned(), 5.into())]);
    }
}

#[test]
fn a_calls_further_keys_go_back_with_it_and_never_over_ours() {
    let mut signed = call("c1", "look", "{}");
    let Item::ToolCall(signed_call) = &mut signed else { unreachable!() };
    signed_call.extra = map(json!({"extra_content": {"sig": "s"}, "id": "other"}));
    let sent = messages(&request(vec![said(Role::User, "go"), signed, output("c1", &["ok"], false)]));
    let expected = json!({
        "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}, "extra_content": {"sig": "s"},
    });
    assert_eq!(sent[1]["tool_calls"], json!([expected]));
}

#[test]
fn what_the_model_has_sealed_goes_back_to_it_whole_and_within_its_turn() {
    let text = |text: &str| json!({"type": "reasoning.text", "text": text, "index": 0});
    let signed = json!([{"type": "reasoning.text", "text": "hm so", "index": 0, "signature": "S"}]);
    let calls = json!([{"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}]);
    let sent = messages(&request(vec![
        said(Role::User, "go"),
        sealed("it", "old", json!([text("old")])),
        said(Role::Assistant, "gone"),
        said(Role::User, "on"),
        // Spread over two items, as it comes when its signature is late.
        sealed("it", "hm so", json!([text("hm so")])),
        said(Role::Assistant, "Looking."),
        sealed("it", "", json!([{"type": "reasoning.text", "index": 0, "signature": "S"}])),
        call("c1", "ls", "{}"),
        output("c1", &["a"], false),
        sealed("another", "they think", json!([text("they think")])),
        said(Role::Assistant, "Done."),
    ]));
    let expected = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "gone"},
        {"role": "user", "content": "on"},
        {"role": "assistant", "content": "Looking.", "reasoning_details": signed, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "assistant", "content": "Done.", "reasoning_content": "they think"},
    ]);
    assert_eq!(sent, expected);
}

#[test]
fn what_was_added_to_a_message_for_its_client_does_not_go_back() {
    let token = Likely { token: "Hi".into(), logprob: -1.0, bytes: vec![72, 105] };
    let likely = Part::Text { text: "Hi".into(), logprobs: vec![Logprob { token, top_logprobs: vec![] }] };
    let refusal = Part::Refusal { refusal: "no".into() };
    let phase = Some(Phase::Commentary);
    let said = Message { phase, content: vec![likely, refusal], ..Message::of(Role::Assistant, "") };
    let content = json!([{"type": "text", "text": "Hi"}, {"type": "refusal", "refusal": "no"}]);
    assert_eq!(messages(&request(vec![Item::Message(said)])), json!([{"role": "assistant", "content": content}]));
}

#[test]
fn a_format_is_sent_or_put_in_words() {
    let schema = JsonSchema {
        name: "city".into(),
        description: Some("A city.".into()),
        schema: json!({"type": "object"}),
        strict: Some(true),
        extra: map(json!({"x": 1})),
        path: "schema",
    };
    let schema = OutputFormat::new(Shape::Schema(Box::new(schema)));
    let object = OutputFormat { shape: Shape::Object, beside: map(json!({"schema": {"type": "object"}})) };
    let alone = "and nothing else: no code fence, no words before or after it.";
    let cases = [
        (
            schema,
            json!({"type": "json_schema", "json_schema":
                {"name": "city", "description": "A city.", "schema": {"type": "object"}, "strict": true, "x": 1}}),
            format!(
                "Your final answer must be JSON that fits the schema `city` (A city.) {alone}\n\n{{\"type\":\"object\"}}"
            ),
        ),
        (
            object,
            json!({"type": "json_object", "schema": {"type": "object"}}),
            format!("Your final answer must be one JSON object {alone}"),
        ),
    ];
    for (format, sent, words) in cases {
        // What a profile's `sampling` has under the same name is never sent beside it.
        let params = Arc::new(map(json!({"response_format": {"type": "text"}})));
        let format = Some(Arc::new(format));
        let request =
            ModelRequest { format, params, ..request(vec![said(Role::System, "Be."), said(Role::User, "Go")]) };
        for support in [FormatSupport::Passed, FormatSupport::Strict, FormatSupport::Enforced] {
            let body = body_with(&request, support);
            assert_eq!((&body["response_format"], &body["messages"][0]["content"]), (&sent, &json!("Be.")));
        }
        let request = ModelRequest { instructions: Some("Agent.".into()), ..request };
        let body = body_with(&request, FormatSupport::Prompted);
        assert_eq!(body.get("response_format"), None);
        assert_eq!(body["messages"][0]["content"], format!("Agent.\n\n{words}\n\nBe."));
    }
}

#[test]
fn a_call_of_another_servers_tool_goes_by_the_name_that_it_is_offered_by() {
    let home = |tool: &str| Some(Arc::new(ToolHome { server: "files".into(), tool: tool.into() }));
    let Item::ToolCall(made) = call("c1", "read", "{}") else { unreachable!() };
    let calls = [home("read"), home("gone"), None].map(|home| Item::ToolCall(ToolCall { home, ..made.clone() }));
    let mut request = request([vec![said(Role::User, "go")], calls.into()].concat());
    request.tools = ToolList::from([tool("read"), ToolSpec { home: home("read"), ..tool("files__read") }]);
    let body = body(&request);
    let names = body["messages"][1]["tool_calls"].as_array().unwrap().iter().map(|call| &call["function"]["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["files__read", "read", "read"]);
}
