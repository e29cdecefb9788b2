//! What becomes of a request.

use super::*;
use crate::core::item::{Item, Message, Origin, Role, Status, ToolCall, ToolOutput};
use crate::core::ports::store::StoredResponse;
use crate::core::ports::upstream::ToolChoice;
use crate::core::run::RunSpec;
use rstest::rstest;

pub(super) fn understood(body: Value) -> RunSpec {
    request::parse(body).unwrap().spec(&[], &Map::new()).unwrap()
}

pub(super) fn said(role: Role, text: &str) -> Item {
    Item::Message(Message::of(role, text))
}

pub(super) fn called(id: &str, call_id: &str, origin: Origin) -> Item {
    let (id, call_id, name) = (id.to_owned(), call_id.to_owned(), "look".to_owned());
    let (arguments, status) = ("{}".to_owned(), Status::Completed);
    Item::ToolCall(ToolCall { id, call_id, name, arguments, origin, status, extra: Map::new() })
}

pub(super) fn answered(call_id: &str, text: &str, failed: bool) -> Item {
    let (id, call_id, content) = (String::new(), call_id.to_owned(), vec![Part::text(text)]);
    Item::ToolOutput(ToolOutput { id, call_id, content, failed, extra: Map::new() })
}

#[test]
fn parameters_get_their_chat_names_and_nothing_else_is_passed_on() {
    let schema = json!({"type": "object"});
    let spec = understood(json!({
        "model": "m", "input": "go", "temperature": 0.3, "top_p": null, "max_output_tokens": 99.0, "store": false,
        "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content", "code_interpreter_call.outputs"],
        "top_logprobs": 3, "prompt_cache_retention": "24h",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m", "prewarm": false, "comparison_response_id": "r"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}, "verbosity": "low"},
        "max_tool_calls": 5, "metadata": {"k": "v"}, "client_metadata": {"session_id": "s"}, "parallel_tool_calls": true, "user": "u",
        "tools": [{"type": "function", "name": "ask", "strict": true, "defer_loading": true}, {"type": "namespace", "name": "n"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "ask"}]},
    }));
    let format = json!({"name": "n", "schema": schema, "strict": true});
    let expected = RunSpec {
        input: vec![Arc::new(said(Role::User, "go"))],
        tools: Some(vec![ToolSpec { strict: Some(true), ..tool("ask") }]),
        tool_choice: ToolChoice::Required,
        allowed_tools: Some(vec!["ask".to_owned()]),
        params: json!({
            "temperature": 0.3, "parallel_tool_calls": true, "user": "u", "verbosity": "low", "reasoning_effort": "high",
            "logprobs": true, "top_logprobs": 3, "prompt_cache_retention": "24h",
            "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
            "response_format": {"type": "json_schema", "json_schema": format},
        })
        .as_object()
        .cloned()
        .unwrap(),
        max_output_tokens: Some(99),
        max_tool_calls: Some(5),
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
]), "No tool output found for the call `x`: each call needs its output, a `function_call_output`, before anything new is said.")]
fn calls_and_outputs_must_pair_up(#[case] input: Value, #[case] message: &str) {
    let mut asked = request::parse(json!({"model": "m", "input": input})).unwrap();
    let error = asked.spec(&[], &Map::new()).unwrap_err();
    assert_eq!(
        (error.status, error.error.param.as_deref(), error.error.message.as_str()),
        (400, Some("input"), message)
    );
}

#[test]
fn a_response_says_what_the_profile_decided() {
    let sampling =
        json!({"temperature": 0.3, "top_p": 0.4, "parallel_tool_calls": false}).as_object().cloned().unwrap();
    let held = |patch: Value| {
        let mut body = asked();
        body.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        let mut asked = request::parse(body).unwrap();
        asked.spec(&[], &sampling).unwrap();
        (asked.settings.temperature, asked.settings.top_p, asked.settings.parallel_tool_calls)
    };
    assert_eq!(held(json!({})), (0.3, 0.4, false));
    assert_eq!(held(json!({"temperature": 1, "parallel_tool_calls": true})), (1.0, 0.4, true));
}

#[test]
fn an_empty_list_of_tools_means_none_unless_its_client_always_sends_one() {
    let mut asked = request::parse(json!({"model": "m", "input": "go", "tools": []})).unwrap();
    assert_eq!(asked.spec(&[], &Map::new()).unwrap().tools, Some(vec![]));
    asked.forget_empty_tools();
    assert_eq!(asked.spec(&[], &Map::new()).unwrap().tools, None);
    let mut brings =
        request::parse(json!({"model": "m", "input": "go", "tools": [{"type": "function", "name": "ask"}]}));
    brings.as_mut().unwrap().forget_empty_tools();
    assert_eq!(brings.unwrap().spec(&[], &Map::new()).unwrap().tools, Some(vec![tool("ask")]));
}
