//! What becomes of a request.

use super::*;
use crate::core::format::{JsonSchema, OutputFormat, Shape};
use crate::core::item::{Item, Message, Origin, Reasoning, Role, Status, ToolCall, ToolOutput};
use crate::core::ports::store::StoredResponse;
use crate::core::ports::upstream::ToolChoice;
use crate::core::run::RunSpec;
use crate::dialect::responses::list::Page;
use rstest::rstest;

fn understood(body: Value) -> RunSpec {
    request::parse(body).unwrap().spec(&[], &Map::new()).unwrap()
}

fn said(role: Role, text: &str) -> Item {
    Item::Message(Message::of(role, text))
}

fn called(id: &str, call_id: &str, origin: Origin) -> Item {
    let (id, call_id, name) = (id.to_owned(), call_id.to_owned(), "look".to_owned());
    let (arguments, status) = ("{}".to_owned(), Status::Completed);
    Item::ToolCall(ToolCall { id, call_id, name, arguments, origin, status, extra: Map::new() })
}

fn answered(call_id: &str, text: &str, failed: bool) -> Item {
    let (id, call_id, content) = (String::new(), call_id.to_owned(), vec![Part::text(text)]);
    Item::ToolOutput(ToolOutput { id, call_id, content, failed, extra: Map::new() })
}

#[test]
fn every_kind_of_item_is_understood() {
    let image = json!({"type": "input_image", "image_url": "https://x/y.png", "detail": "low"});
    let error = json!({"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "gone"}]});
    let spec = understood(json!({"model": "m", "instructions": "be", "input": [
        {"role": "developer", "content": "dev"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "see"}, image]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "sealed"},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "text": "ok", "annotations": []}]},
        {"type": "mcp_call", "id": "mcp_abc", "server_label": "nuncio", "name": "look", "arguments": "{}", "output": "seen"},
        {"type": "mcp_call", "id": "mcp_def", "server_label": "nuncio", "name": "look", "arguments": "{}", "error": error},
        {"type": "mcp_call", "id": "mcp_cut", "server_label": "nuncio", "name": "look", "arguments": "{"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "out"}]},
    ]}));
    let picture = Part::Image { url: "https://x/y.png".into(), detail: Some("low".into()) };
    let content = vec![Part::text("see"), picture];
    let with_id = |id: &str, item: Message| Item::Message(Message { id: id.into(), ..item });
    let expected = [
        said(Role::System, "be"),
        said(Role::Developer, "dev"),
        Item::Message(Message { content, ..Message::of(Role::User, "") }),
        Item::Reasoning(Reasoning { id: "rs_1".into(), status: Status::Completed, text: "hm".into() }),
        with_id("msg_1", Message::of(Role::Assistant, "ok")),
        called("mcp_abc", "abc", Origin::Server),
        answered("abc", "seen", false),
        called("mcp_def", "def", Origin::Server),
        answered("def", "gone", true),
        called("fc_1", "c1", Origin::Client),
        answered("c1", "out", false),
    ];
    assert_eq!(spec.input, expected.map(Arc::new));
}

#[test]
fn parameters_get_their_chat_names_and_nothing_else_is_passed_on() {
    let schema = json!({"type": "object"});
    let spec = understood(json!({
        "model": "m", "input": "go", "temperature": 0.3, "top_p": null, "max_output_tokens": 99.0, "store": false,
        "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}, "verbosity": "low"},
        "metadata": {"k": "v"}, "client_metadata": {"session_id": "s"}, "parallel_tool_calls": true, "user": "u",
        "tools": [{"type": "function", "name": "ask", "defer_loading": true}, {"type": "namespace", "name": "n"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "ask"}]},
    }));
    let format = JsonSchema {
        name: "n".into(),
        description: None,
        schema: schema.clone(),
        strict: Some(true),
        extra: Map::new(),
        path: "text.format.schema",
    };
    let expected = RunSpec {
        input: vec![Arc::new(said(Role::User, "go"))],
        tools: Some(vec![tool("ask")]),
        tool_choice: ToolChoice::Required,
        allowed_tools: Some(vec!["ask".to_owned()]),
        format: Some(Arc::new(OutputFormat::new(Shape::Schema(Box::new(format))))),
        params: json!({
            "temperature": 0.3, "parallel_tool_calls": true, "user": "u", "verbosity": "low", "reasoning_effort": "high",
        })
        .as_object()
        .cloned()
        .unwrap(),
        max_output_tokens: Some(99),
    };
    assert_eq!(spec, expected);
}

#[test]
fn tools_that_are_not_allowed_are_not_offered() {
    let body = json!({"model": "m", "input": "go", "tools": [{"type": "function", "name": "ask"}],
        "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "look"}]}});
    let mut shown = Shown::new(body, ToolActivity::Standard);
    let mut offered = Vec::new();
    for input in [Input::Submitted, call(0, "ask", "{}"), call(1, "act", "{}"), CLOSED] {
        for effect in shown.machine.on(input) {
            match effect {
                Effect::CallUpstream(request) => {
                    offered.push(request.tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>());
                }
                Effect::RunTool(call) => panic!("{call:?} is run"),
                Effect::Emit(RunEvent::Waiting { call_ids }) => panic!("{call_ids:?} are asked of the client"),
                _ => {}
            }
        }
    }
    assert_eq!(offered, [["look"], ["look"]]);
}

fn stored(id: &str, instructions: Option<&str>, input: Vec<Item>, output: Vec<Item>) -> Arc<StoredResponse> {
    let items = |items: Vec<Item>| items.into_iter().map(Arc::new).collect();
    let (input, output) = (items(input), items(output));
    let instructions = instructions.map(str::to_owned);
    Arc::new(StoredResponse { id: id.into(), previous: None, instructions, input, output, resource: String::new() })
}

#[test]
fn a_chain_goes_before_what_is_new_without_its_instructions_and_cut_calls() {
    let Item::ToolCall(call) = called("fc", "cut", Origin::Server) else { unreachable!() };
    let cut = Item::ToolCall(ToolCall { status: Status::Incomplete, ..call });
    let chain = [
        stored("a", Some("old"), vec![said(Role::User, "1")], vec![said(Role::Assistant, "one"), cut]),
        stored("b", None, vec![said(Role::User, "2")], vec![called("f", "c", Origin::Client)]),
    ];
    let output = json!([{"type": "function_call_output", "call_id": "c", "output": "out"}]);
    let mut asked = request::parse(json!({"model": "m", "instructions": "new", "input": output})).unwrap();
    let begun = |system: &str| {
        let items =
            [said(Role::System, system), said(Role::User, "1"), said(Role::Assistant, "one"), said(Role::User, "2")];
        items
            .into_iter()
            .chain([called("f", "c", Origin::Client), answered("c", "out", false)])
            .map(Arc::new)
            .collect::<Vec<_>>()
    };
    assert_eq!(asked.spec(&chain, &Map::new()).unwrap().input, begun("new"));
    assert_eq!(asked.opening(&chain), Some(begun("old")));
    assert_eq!(asked.opening(&[]), None);
}

#[rstest]
#[case::an_output_without_its_call(json!([{"type": "function_call_output", "call_id": "x", "output": ""}]), "No tool call found for the output with `call_id` `x`.")]
#[case::two_outputs(json!([
    {"type": "function_call", "call_id": "x", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "x", "output": ""},
    {"type": "function_call_output", "call_id": "x", "output": ""},
]), "There are two outputs for the call `x`.")]
#[case::a_call_twice(json!([
    {"type": "function_call", "call_id": "x", "name": "look", "arguments": "{}"},
    {"type": "function_call", "call_id": "x", "name": "look", "arguments": "{}"},
]), "`input` repeats the `call_id` of another call: `x`.")]
#[case::a_call_without_an_output(json!([
    {"type": "function_call", "call_id": "x", "name": "look", "arguments": "{}"}, {"role": "user", "content": "go on"},
]), "No tool output found for the call `x`: send a `function_call_output` for each call before anything new is said.")]
fn calls_and_outputs_must_pair_up(#[case] input: Value, #[case] message: &str) {
    let mut asked = request::parse(json!({"model": "m", "input": input})).unwrap();
    let error = asked.spec(&[], &Map::new()).unwrap_err();
    assert_eq!(
        (error.status, error.error.param.as_deref(), error.error.message.as_str()),
        (400, Some("input"), message)
    );
}

#[test]
fn input_is_listed_in_pages_as_it_was_sent() {
    let sent = json!([
        {"type": "message", "id": "m1", "status": "completed", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "r1", "status": "completed", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "mcp_call", "id": "mcp_a", "status": "completed", "server_label": "nuncio", "name": "look",
            "arguments": "{}", "approval_request_id": null, "output": "seen", "error": null},
        {"type": "function_call", "id": "f1", "status": "completed", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "id": "o1", "status": "completed", "call_id": "c",
            "output": [{"type": "input_image", "image_url": "data:x", "detail": "auto"}]},
    ]);
    let items = request::parse(json!({"model": "m", "input": sent})).unwrap().input;
    let page = |query: &[(&str, &str)]| {
        serde_json::to_value(Page::parse(query.iter().copied()).unwrap().of_input(&items).unwrap()).unwrap()
    };
    let list = |data: Value, first: &str, last: &str, more: bool| json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more});
    assert_eq!(page(&[("order", "asc")]), list(sent.clone(), "m1", "o1", false));
    assert_eq!(page(&[("limit", "2")]), list(json!([sent[4], sent[3]]), "o1", "f1", true));
    assert_eq!(page(&[("limit", "2"), ("after", "f1")]), list(json!([sent[2], sent[1]]), "mcp_a", "r1", true));
    assert!(Page::parse([("order", "up")].into_iter()).is_err() && Page::parse([("limit", "0")].into_iter()).is_err());
}
