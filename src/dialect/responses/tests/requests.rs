//! What becomes of a request.

use super::*;
use crate::core::event::Outcome;
use crate::core::format::{JsonSchema, OutputFormat, Shape};
use crate::core::item::{Compaction, Item, Message, Origin, Role, Status, ToolCall, ToolOutput};
use crate::core::ports::store::{AddedItems, Link, StoredResponse};
use crate::core::ports::upstream::ToolChoice;
use crate::core::run::{Compaction as Compact, RunSpec, Truncation};
use crate::dialect::responses::items::WireItem;
use crate::dialect::responses::view::View;
use rstest::rstest;
use std::collections::BTreeSet;

pub(super) fn understood(body: Value) -> RunSpec {
    request::parse(body).unwrap().spec(&History::default()).unwrap()
}

pub(super) fn said(role: Role, text: &str) -> Item {
    Item::Message(Message::of(role, text))
}

pub(super) fn called(id: &str, call_id: &str, origin: Origin) -> Item {
    let (id, call_id, name) = (id.to_owned(), call_id.to_owned(), "look".to_owned());
    let (arguments, status) = ("{}".to_owned(), Status::Completed);
    Item::ToolCall(ToolCall { id, call_id, name, arguments, origin, home: None, status, extra: Map::new() })
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
        tools: Some(vec![ToolSpec { strict: Some(true), ..tool("ask") }]),
        tool_choice: ToolChoice::Required,
        allowed_tools: Some(vec!["ask".to_owned()]),
        format: Some(Arc::new(OutputFormat::new(Shape::Schema(Box::new(format))))),
        params: json!({
            "temperature": 0.3, "parallel_tool_calls": true, "user": "u", "verbosity": "low", "reasoning_effort": "high",
            "logprobs": true, "top_logprobs": 3, "prompt_cache_retention": "24h",
            "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        })
        .as_object()
        .cloned()
        .unwrap(),
        max_output_tokens: Some(99),
        max_tool_calls: Some(5),
        ..RunSpec::default()
    };
    assert_eq!(spec, expected);
}

#[test]
fn a_compaction_comes_back_as_it_was_sent_out() {
    let (system, question) = (vec![Message::of(Role::System, "be")], vec![Message::of(Role::User, "é?")]);
    let compaction = Item::Compaction(Compaction { id: "cmp_1".into(), summary: "all".into(), system, question });
    let sent = serde_json::to_value(WireItem::begun(&compaction, ToolActivity::Hidden, View::default())).unwrap();
    let content = sent["encrypted_content"].as_str().unwrap();
    assert_eq!(sent, json!({"type": "compaction", "id": "cmp_1", "encrypted_content": content}));
    assert!(content.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{content}");
    // A client may leave out the id and add what it likes.
    let again = json!({"type": "compaction", "id": null, "encrypted_content": content, "created_by": "x"});
    assert_eq!(understood(json!({"model": "m", "input": [again]})).input, [Arc::new(compaction)]);
    for damaged in [&content[..content.len() - 1], "gAAAAABpM0Yj-...=", "nuncio1.e30", "nuncio1."] {
        let body = json!({"model": "m", "input": ["x", {"type": "compaction", "encrypted_content": damaged}]});
        let input = json!([{"role": "user", "content": "x"}, body["input"][1]]);
        let error = request::parse(json!({"model": "m", "input": input})).unwrap_err();
        assert_eq!((error.status, error.error.param.as_deref()), (400, Some("input[1].encrypted_content")));
    }
}

#[test]
fn what_to_do_about_length_is_understood() {
    let about = |truncation: Value, management: Value| {
        let body = json!({"model": "m", "input": "go", "truncation": truncation, "context_management": management});
        let spec = understood(body);
        (spec.truncation, spec.compaction)
    };
    let entry = |threshold: Value| json!([{"type": "compaction", "compact_threshold": threshold}]);
    assert_eq!(about(json!("auto"), json!(null)), (Truncation::Auto, None));
    assert_eq!(about(json!("disabled"), entry(json!(1000))), (Truncation::Disabled, Some(Compact::At(1000))));
    assert_eq!(about(json!(null), entry(json!(null))), (Truncation::Disabled, Some(Compact::NearlyFull)));
    assert_eq!(about(json!(null), json!([])), (Truncation::Disabled, None));
}

#[test]
fn a_request_for_a_compaction_runs_nothing_else() {
    let (question, answer) = (said(Role::User, "1"), said(Role::Assistant, "one"));
    let chain = [responded(Some("old"), vec![question], vec![answer], Outcome::Completed)];
    let body = json!({"model": "m", "previous_response_id": "a", "instructions": "be", "user": "u",
        "tools": [{"type": "function", "name": "ask"}], "context_management": [{"type": "compaction"}]});
    let spec = request::parse_conversation(body).unwrap().compaction(&History::of(&chain, &BTreeSet::new())).unwrap();
    let expected = RunSpec {
        input: [said(Role::User, "1"), said(Role::Assistant, "one")].map(Arc::new).to_vec(),
        tools: Some(Vec::new()),
        params: json!({"user": "u"}).as_object().cloned().unwrap(),
        compaction: Some(Compact::Only { told: Some("be".into()) }),
        ..RunSpec::default()
    };
    assert_eq!(spec, expected);
    let error = request::parse_conversation(json!({"model": "m"})).unwrap_err();
    assert_eq!(error.error.param.as_deref(), Some("input"));
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

fn items(items: Vec<Item>) -> Arc<[Arc<Item>]> {
    items.into_iter().map(Arc::new).collect()
}

fn responded(instructions: Option<&str>, input: Vec<Item>, output: Vec<Item>, outcome: Outcome) -> Link {
    let mut journal = Journal::default();
    journal.push(Told { sequence: 0, event: RunEvent::Finished { outcome } });
    Link::Response(Arc::new(StoredResponse {
        id: String::new(),
        previous: None,
        conversation: None,
        instructions: instructions.map(str::to_owned),
        input: items(input),
        output: items(output),
        head: String::new(),
        journal: Arc::new(journal),
        ended_at: None,
    }))
}

fn put_in(brought: Vec<Item>) -> Link {
    let (id, conversation, items) = ("i".into(), "c".into(), items(brought));
    Link::Items(Arc::new(AddedItems { id, previous: None, conversation, items }))
}

fn gone() -> Link {
    Link::Gone { id: "g".into(), previous: None, conversation: None }
}

fn with_id(id: &str, item: Item) -> Item {
    match item {
        Item::Message(message) => Item::Message(Message { id: id.into(), ..message }),
        Item::ToolOutput(output) => Item::ToolOutput(ToolOutput { id: id.into(), ..output }),
        other => other,
    }
}

#[test]
fn a_chain_goes_before_what_is_new_without_its_instructions_and_cut_calls() {
    let Item::ToolCall(call) = called("fc", "cut", Origin::Server) else { unreachable!() };
    let cut = Item::ToolCall(ToolCall { status: Status::Incomplete, ..call });
    let chain = [
        responded(
            Some("old"),
            vec![said(Role::User, "1")],
            vec![said(Role::Assistant, "one"), cut],
            Outcome::Cancelled,
        ),
        responded(None, vec![said(Role::User, "2")], vec![called("f", "c", Origin::Client)], Outcome::ClientTools),
    ];
    let output = json!([{"type": "function_call_output", "call_id": "c", "output": "out"}]);
    let asked = request::parse(json!({"model": "m", "instructions": "new", "input": output})).unwrap();
    let begun = |system: &str| {
        let items =
            [said(Role::System, system), said(Role::User, "1"), said(Role::Assistant, "one"), said(Role::User, "2")];
        items
            .into_iter()
            .chain([called("f", "c", Origin::Client), answered("c", "out", false)])
            .map(Arc::new)
            .collect::<Vec<_>>()
    };
    let history = History::of(&chain, &BTreeSet::new());
    assert_eq!(asked.spec(&history).unwrap().input, begun("new"));
    assert_eq!((history.opening(&asked.input), history.is_new), (begun("old"), false));
    assert_eq!(history.instructions.as_deref(), Some("old"));
}

/// What the model gets of a conversation is whole, whatever was taken out of it.
#[test]
fn a_call_and_its_output_stay_and_go_together() {
    let user = |text: &str| said(Role::User, text);
    let call = |id: &str| called(&format!("fc_{id}"), id, Origin::Client);
    let output = |id: &str| with_id(&format!("fco_{id}"), answered(id, "out", false));
    let asked_for = |call_id: &str| responded(None, vec![user("?")], vec![call(call_id)], Outcome::ClientTools);
    let before = |chain: &[Link], removed: &[&str], input: Vec<Item>| {
        let removed = removed.iter().map(|id| (*id).to_owned()).collect();
        let before = History::of(chain, &removed).before(&items(input));
        before.iter().map(|item| item.as_ref().clone()).collect::<Vec<_>>()
    };
    let answered = [asked_for("a"), put_in(vec![output("a"), user("and")])];
    for removed in ["fc_a", "fco_a"] {
        assert_eq!(before(&answered, &[removed], vec![]), [user("?"), user("and")], "{removed}");
    }
    // The response that brought the output was deleted: the call is open again, for who answers it.
    let reopened = [asked_for("a"), gone()];
    assert_eq!(before(&reopened, &[], vec![]), [user("?")]);
    assert_eq!(before(&reopened, &[], vec![output("a")]), [user("?"), call("a")]);
    // So was the one that made the call.
    assert_eq!(before(&[gone(), put_in(vec![output("a"), user("and")])], &[], vec![]), [user("and")]);
    // A call that a client was asked to run waits for it; one of a run that was ended does not.
    assert_eq!(before(&[asked_for("a")], &[], vec![]), [user("?"), call("a")]);
    assert_eq!(before(&[put_in(vec![call("a")])], &[], vec![]), [call("a")]);
    let ended = [responded(None, vec![user("?")], vec![call("a")], Outcome::Cancelled)];
    assert_eq!(before(&ended, &[], vec![]), [user("?")]);
    assert_eq!(before(&ended, &[], vec![output("a")]), [user("?"), call("a")]);
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
    let asked = request::parse(json!({"model": "m", "input": input})).unwrap();
    let error = asked.spec(&History::default()).unwrap_err();
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
        asked.adopt(&sampling);
        (asked.settings.temperature, asked.settings.top_p, asked.settings.parallel_tool_calls)
    };
    assert_eq!(held(json!({})), (0.3, 0.4, false));
    assert_eq!(held(json!({"temperature": 1, "parallel_tool_calls": true})), (1.0, 0.4, true));
}
