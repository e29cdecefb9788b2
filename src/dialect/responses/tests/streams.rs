//! Whole streams. A snapshot holds every event, but of a response only what changes; `fields` has the rest.

use super::*;
use crate::core::failure::{Failure, FailureKind};
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::FinishReason;
use crate::core::run::Cancel;
use crate::core::usage::Usage;

fn told(body: Value, activity: ToolActivity, inputs: impl IntoIterator<Item = Input>) -> String {
    let mut shown = Shown::new(body, activity);
    shown.feed(inputs);
    let lines: Vec<String> = shown.frames.iter().map(|frame| line(frame)).collect();
    lines.join("\n")
}

/// A frame on one line.
fn line(frame: &str) -> String {
    let Some(json) = frame.lines().find_map(|line| line.strip_prefix("data: {")) else {
        return frame.trim().to_owned();
    };
    let mut event: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    if let Some(response) = event.get_mut("response").and_then(Value::as_object_mut) {
        const CHANGING: [&str; 6] = ["status", "completed_at", "output", "usage", "error", "incomplete_details"];
        response.retain(|key, value| CHANGING.contains(&key.as_str()) && !value.is_null());
    }
    event.to_string()
}

macro_rules! assert_stream {
    ($($told:tt)*) => {
        insta::with_settings!({prepend_module_to_snapshot => false, snapshot_path => "../snapshots"}, {
            insta::assert_snapshot!($($told)*)
        })
    };
}

#[test]
fn text_and_what_it_cost() {
    let usage = Usage { input: 5, output: 2, cached: 3, reasoning: 1, ..Usage::default() };
    let inputs = [text("Hel"), text("lo"), upstream(UpstreamEvent::Usage(usage)), CLOSED];
    assert_stream!(told(asked(), ToolActivity::Standard, inputs));
}

#[test]
fn reasoning_then_text() {
    let inputs = [upstream(UpstreamEvent::Reasoning("hm".into())), text("Yes"), CLOSED];
    assert_stream!(told(asked(), ToolActivity::Standard, inputs));
}

#[test]
fn a_compaction_before_the_answer() {
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let input = json!([said("user", &"long ".repeat(500)), said("assistant", "yes"), said("user", "go")]);
    let management = json!([{"type": "compaction", "compact_threshold": 400}]);
    let body = json!({"model": "m", "input": input, "context_management": management, "truncation": "auto"});
    let summed_up = Usage { input: 500, output: 9, ..Usage::default() };
    let answered = Usage { input: 20, output: 1, ..Usage::default() };
    let inputs = [text("all"), upstream(UpstreamEvent::Usage(summed_up)), CLOSED];
    let inputs = inputs.into_iter().chain([text("Hi"), upstream(UpstreamEvent::Usage(answered)), CLOSED]);
    assert_stream!(told(body, ToolActivity::Standard, inputs));
}

#[test]
fn reasoning_as_a_summary() {
    let body = json!({"model": "m", "input": "go", "reasoning": {"summary": "auto"}});
    let inputs = [upstream(UpstreamEvent::Reasoning("hm".into())), text("Yes"), CLOSED];
    assert_stream!(told(body, ToolActivity::Standard, inputs));
}

#[test]
fn sealed_reasoning_that_can_be_read_and_some_that_cannot() {
    let body = json!({"model": "m", "input": "go", "reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]});
    let inputs = [upstream(UpstreamEvent::Reasoning("hm".into())), sealed(0), text("Yes"), sealed(1), CLOSED];
    assert_stream!(told(body, ToolActivity::Standard, inputs));
}

#[test]
fn text_and_how_likely_it_was() {
    let body = json!({"model": "m", "input": "go", "include": ["message.output_text.logprobs"]});
    let inputs = [likely("Y"), text("Y"), likely("es"), text("es"), CLOSED];
    assert_stream!(told(body, ToolActivity::Standard, inputs));
}

/// The second call ends first and fails.
fn two_calls() -> Vec<Input> {
    let number = RunId::new(uuid::Uuid::nil()).call(1);
    let failed = Err(ToolError::TellModel("no such file".into()));
    let failed = Input::ToolDone(ToolDone { call_id: number, result: failed });
    let calls = [text("First"), call(0, "look", "{\"a\":"), call(1, "act", "{}"), call(0, "", "1}"), CLOSED];
    calls.into_iter().chain([failed, done(0, "seen"), text("Then"), CLOSED]).collect()
}

#[test]
fn two_parallel_server_tools_between_texts() {
    assert_stream!(told(asked(), ToolActivity::Standard, two_calls()));
}

#[test]
fn two_parallel_server_tools_as_function_calls() {
    assert_stream!(told(asked(), ToolActivity::FunctionCall, two_calls()));
}

#[test]
fn hidden_server_tools() {
    assert_stream!(told(asked(), ToolActivity::Hidden, two_calls()));
}

#[test]
fn a_client_tool_beside_one_of_the_server() {
    let body = json!({"model": "m", "input": "go", "tools": [{"type": "function", "name": "ask"}]});
    let inputs = [call(0, "ask", "{\"q\":1}"), call(1, "look", ""), CLOSED, done(1, "seen")];
    assert_stream!(told(body, ToolActivity::Standard, inputs));
}

#[test]
fn a_refusal_after_text() {
    let inputs = [
        text("Well"),
        upstream(UpstreamEvent::Refusal("I wo".into())),
        upstream(UpstreamEvent::Refusal("n't".into())),
        CLOSED,
    ];
    assert_stream!(told(asked(), ToolActivity::Standard, inputs));
}

#[test]
fn a_length_that_cuts_text_and_call() {
    let inputs = [text("So"), call(0, "look", "{\"pa"), upstream(UpstreamEvent::Finish(FinishReason::Length)), CLOSED];
    assert_stream!(told(asked(), ToolActivity::Standard, inputs));
}

#[test]
fn a_failure_after_effects() {
    let failure = Failure::new(FailureKind::UpstreamBroken, "The upstream's stream broke off.");
    let broken = Input::UpstreamClosed(Err(failure));
    let inputs = [call(0, "act", "{}"), CLOSED, begun(0), done(0, "done"), text("And"), broken];
    assert_stream!(told(asked(), ToolActivity::Standard, inputs));
}

#[test]
fn a_cancel_while_a_tool_runs() {
    let inputs = [call(0, "look", "{}"), CLOSED, Input::Cancelled(Cancel::Disconnected)];
    assert_stream!(told(asked(), ToolActivity::Standard, inputs));
}

/// The answer is not JSON, so it is mended; what is said beside the call is no part of it.
#[test]
fn a_held_answer_that_was_mended() {
    let mut body = asked();
    body["text"] = json!({"format": {"type": "json_object"}});
    let bad = [upstream(UpstreamEvent::Reasoning("hm".into())), text("It is "), text("{}"), CLOSED];
    let verdicts = [Input::AnswerChecked(Err("it is not JSON.".into())), Input::AnswerChecked(Ok(()))];
    let [mend, good] = verdicts;
    let inputs = [text("I look."), call(0, "look", "{}"), CLOSED, done(0, "seen")].into_iter().chain(bad);
    let inputs = inputs.chain([mend, text("```json\n{}\n"), text("```"), CLOSED, good]);
    assert_stream!(told(body, ToolActivity::Standard, inputs));
}

#[test]
fn a_held_answer_that_stays_wrong() {
    let mut body = asked();
    body["text"] = json!({"format": {"type": "json_object"}});
    let bad = || Input::AnswerChecked(Err("it is not JSON.".into()));
    assert_stream!(told(body, ToolActivity::Standard, [text("No"), CLOSED, bad(), text("No"), CLOSED, bad()]));
}

/// The driver is gone, so nobody closes the items but the fold.
#[test]
fn a_run_that_vanished() {
    let mut shown = Shown::new(asked(), ToolActivity::Standard);
    shown.feed([text("Ha"), call(0, "look", "{")]);
    let failure = Failure::new(FailureKind::Internal, "The run ended unexpectedly.");
    shown.see(&RunEvent::Finished { outcome: crate::core::event::Outcome::Failed { failure } });
    let lines: Vec<String> = shown.frames.iter().map(|frame| line(frame)).collect();
    assert_stream!(lines.join("\n"));
}
