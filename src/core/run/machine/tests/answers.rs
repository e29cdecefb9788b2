//! Answers that must have a form, ordering by ordering.

use super::*;
use crate::core::format::{FormatSupport, OutputFormat, Shape};

/// A run whose answer must be an object, over an upstream that does this about it.
pub(super) fn demanding(format_support: FormatSupport, spec: RunSpec) -> Machine {
    let format = Some(Arc::new(OutputFormat::new(Shape::Object)));
    let agent = Agent { format_support, ..Agent::clone(&agent(Limits { steps: 3, ..Limits::default() })) };
    machine(Arc::new(agent), RunSpec { format, ..spec })
}

pub(super) fn holding() -> Machine {
    demanding(FormatSupport::Passed, spec())
}

pub(super) fn verdict(problem: &str) -> Input {
    Input::AnswerChecked(Err(problem.into()))
}

fn refusal(text: &str) -> Input {
    Input::Upstream(UpstreamEvent::Refusal(text.into()))
}

pub(super) fn thought(text: &str) -> Input {
    Input::Upstream(UpstreamEvent::Reasoning(text.into()))
}

pub(super) const GOOD: Input = Input::AnswerChecked(Ok(()));

/// What the model is asked that shall mend `answer`, in which `problem` was found.
fn repair(before: &str, answer: &str, problem: &str) -> String {
    let form =
        "Your final answer must be one JSON object and nothing else: no code fence, no words before or after it.";
    let note = format!("Your answer cannot be used: {problem}\n\nAnswer again. {form}");
    format!("model [{before}, {answer}user '{note}'] 0 tools Auto")
}

#[test]
fn a_held_answer_is_told_in_one_piece_once_it_is_found_good() {
    let mut run = holding();
    let step = [Input::Submitted, OPENED, thought("hm"), text("```json\n{"), text("}\n```\n"), usage(3)];
    let mut notes = play(&mut run, step.into_iter().chain([finish(FinishReason::Stop), CLOSED]));
    notes.extend(play(&mut run, [GOOD, GOOD, verdict("late")]));
    assert_eq!(
        notes,
        [
            "model [user 'go'] 2 tools Auto",
            "started",
            "+0 thought ''",
            "~0 hm",
            "=0 thought 'hm'",
            "step 10+3",
            "check {}",
            "+1 assistant ''",
            "~1 {}",
            "=1 assistant '{}'",
            "step 0+0",
            "finished Completed",
        ]
    );
    assert_eq!(run.output().len(), 2);
}

#[test]
fn a_bad_answer_is_mended_once_and_never_told() {
    let mut run = holding();
    play(&mut run, [Input::Submitted, OPENED, text("So: {}"), usage(3), CLOSED]);
    let asked = play(&mut run, [verdict("it is not JSON.")]);
    assert_eq!(asked, [repair("user 'go'", "assistant 'So: {}', ", "it is not JSON.")]);
    // No tools are offered, so a call gets no answer.
    let mended = [OPENED, thought("right"), call(0, "c1", "look", "{}"), text("{}"), usage(4), CLOSED, GOOD];
    assert_eq!(
        play(&mut run, mended),
        [
            "+0 thought ''",
            "~0 right",
            "=0 thought 'right'",
            "step 10+4",
            "check {}",
            "+1 assistant ''",
            "~1 {}",
            "=1 assistant '{}'",
            "step 0+0",
            "finished Completed",
        ]
    );
}

#[rstest]
#[case::before_any_effect("look", "failed InvalidOutput")]
#[case::after_effects("act", "failed InvalidOutput after effects")]
fn a_second_bad_answer_is_the_end(#[case] tool: &str, #[case] end: &str) {
    let mut run = holding();
    let started = Input::ToolDoing { call_id: id_of("c1"), doing: String::new() };
    play(&mut run, [Input::Submitted, OPENED, call(0, "c1", tool, "{}"), CLOSED, started, done("c1", "one")]);
    let asked = play(&mut run, [OPENED, text(" \n"), CLOSED, verdict("it is not JSON.")]);
    let before = format!("user 'go', server c1 {tool} {{}}, output c1 'one'");
    assert_eq!(asked[asked.len() - 2..], ["check ", &repair(&before, "", "it is not JSON.")]);
    let notes = play(&mut run, [OPENED, text("no"), CLOSED, verdict("it is not JSON either.")]);
    assert_eq!(notes, ["step 0+0", "check no", "abort", end]);
    assert_eq!(run.output().len(), 2);
}

/// Clients that asked for a form read every message as one in that form.
#[test]
fn what_stands_beside_calls_is_no_answer_and_is_told_as_reasoning() {
    let mut run = holding();
    let step = [Input::Submitted, OPENED, thought("hm"), text("I "), text("look."), call(0, "c1", "look", "{}")];
    let notes = play(&mut run, step.into_iter().chain([text("Now."), CLOSED, done("c1", "one")]));
    assert_eq!(
        notes,
        [
            "model [user 'go'] 2 tools Auto",
            "started",
            "+0 thought ''",
            "~0 hm",
            "=0 thought 'hm'",
            "+1 thought ''",
            "~1 I look.",
            "=1 thought 'I look.'",
            "+2 server c1 look ",
            "~2 args {}",
            "+3 thought ''",
            "~3 Now.",
            "=2 server c1 look {}",
            "=3 thought 'Now.'",
            "step 0+0",
            "+4 output c1 ''",
            "run c1 look",
            "=4 output c1 'one'",
            "model [user 'go', thought 'hm', thought 'I look.', server c1 look {}, thought 'Now.', output c1 'one'] 2 tools Auto",
        ]
    );
}

#[test]
fn a_call_of_the_client_ends_the_turn_unchecked() {
    let mut run = demanding(FormatSupport::Passed, RunSpec { tools: Some(vec![tool("ask")]), ..spec() });
    let notes = play(&mut run, [Input::Submitted, OPENED, text("\n"), call(0, "c1", "ask", "{}"), CLOSED]);
    let end =
        ["+0 client c1 ask ", "~0 args {}", "=0 client c1 ask {}", "step 0+0", "waiting c1", "finished ClientTools"];
    assert_eq!(notes[2..], end);
}

#[rstest]
#[case::a_refusal(vec![text("Well."), refusal("No."), text("!"), CLOSED], vec![
    "+0 assistant ''", "~0 Well.", "~0 No.", "~0 !", "=0 assistant 'Well.No.!'", "step 0+0", "finished Completed",
])]
#[case::the_token_limit(vec![text("{\"a"), finish(FinishReason::Length), CLOSED], vec![
    "+0 assistant ''", "~0 {\"a", "=0 assistant! '{\"a'", "step 0+0", "finished Incomplete { reason: OutputTokens }",
])]
#[case::a_filter(vec![text("{\"a"), finish(FinishReason::ContentFilter), CLOSED], vec![
    "+0 assistant ''", "~0 {\"a", "=0 assistant! '{\"a'", "step 0+0", "finished Incomplete { reason: ContentFilter }",
])]
#[case::the_deadline(vec![text("{\"a"), Input::Deadline], vec![
    "abort", "+0 assistant ''", "~0 {\"a", "=0 assistant! '{\"a'", "step 0+0", "finished Incomplete { reason: WallTime }",
])]
#[case::a_cancel(vec![text("{\"a"), Input::Cancelled(Cancel::Asked)], vec!["abort", "step 0+0", "finished Cancelled"])]
#[case::a_failure(vec![text("{\"a"), broken()], vec!["abort", "step 0+0", "failed UpstreamBroken"])]
#[case::a_cancel_in_the_check(vec![text("{}"), CLOSED, Input::Cancelled(Cancel::Asked), GOOD], vec![
    "step 0+0", "check {}", "abort", "finished Cancelled",
])]
#[case::the_deadline_in_the_check(vec![text("{}"), CLOSED, Input::Deadline, GOOD], vec![
    "step 0+0", "check {}", "+0 assistant ''", "~0 {}", "=0 assistant '{}'", "step 0+0", "finished Completed",
])]
fn what_becomes_of_held_text_at(#[case] inputs: Vec<Input>, #[case] expected: Vec<&str>) {
    let mut run = holding();
    play(&mut run, [Input::Submitted, OPENED]);
    assert_eq!(play(&mut run, inputs), expected);
}

#[test]
fn the_last_words_at_a_limit_have_the_form_too() {
    let mut run = holding();
    play(&mut run, [Input::Submitted, OPENED, text("\n")]);
    let effects = run.on(Input::Deadline);
    let Some(Effect::CallUpstream(last)) = effects.last() else { panic!("{effects:?}") };
    let expected =
        "The time you were given is over, so no tools can be called any more. Answer now with what you have.";
    assert_eq!((last.instructions.as_deref(), last.format.is_some()), (Some(expected), true));
    let notes = play(&mut run, [OPENED, text("{}"), CLOSED, GOOD]);
    let told = ["check {}", "+0 assistant ''", "~0 {}", "=0 assistant '{}'", "step 0+0"];
    let end = [told.as_slice(), &["finished Incomplete { reason: WallTime }"]].concat();
    assert_eq!(notes[1..], end);
}

#[test]
fn mending_takes_no_step_from_the_limit_but_its_tokens_count() {
    let mut run = demanding(FormatSupport::Passed, RunSpec { max_output_tokens: Some(50), ..spec() });
    play(&mut run, [Input::Submitted]);
    for step in 1..3 {
        let id = format!("c{step}");
        play(&mut run, [OPENED, call(0, &id, "look", "{}"), CLOSED, done(&id, "")]);
    }
    let asked = play(&mut run, [OPENED, text("no"), usage(20), CLOSED, verdict("bad.")]);
    assert!(asked.last().unwrap().ends_with("0 tools Auto max 30"), "{asked:?}");
    let notes = play(&mut run, [OPENED, text("{}"), CLOSED, GOOD]);
    assert_eq!(notes.last().unwrap(), "finished Completed");
}

#[rstest]
#[case::good(GOOD, vec!["finished Completed"])]
#[case::bad(verdict("bad."), vec!["abort", "failed InvalidOutput"])]
fn where_the_upstream_enforces_the_form_text_is_told_as_it_comes(#[case] verdict: Input, #[case] end: Vec<&str>) {
    let mut run = demanding(FormatSupport::Enforced, spec());
    let notes = play(&mut run, [Input::Submitted, OPENED, text("{"), text("}"), CLOSED]);
    assert_eq!(notes[2..], ["+0 assistant ''", "~0 {", "~0 }", "=0 assistant '{}'", "step 0+0", "check {}"]);
    assert_eq!(play(&mut run, [verdict]), end);
}

#[rstest]
#[case::of_the_profile(None, Some(Shape::Object), true)]
#[case::of_the_request(Some(Shape::Object), None, true)]
#[case::text_in_spite_of_the_profile(Some(Shape::Text), Some(Shape::Object), false)]
#[case::of_nobody(None, None, false)]
fn a_form_is_demanded(#[case] request: Option<Shape>, #[case] profile: Option<Shape>, #[case] demanded: bool) {
    let format = |shape: Option<Shape>| shape.map(|shape| Arc::new(OutputFormat::new(shape)));
    let agent = Agent { format: format(profile), ..Agent::clone(&agent(Limits::default())) };
    let mut run = machine(Arc::new(agent), RunSpec { format: format(request), ..spec() });
    let effects = run.on(Input::Submitted);
    let Some(Effect::CallUpstream(call)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((call.format.is_some(), run.format().is_some()), (demanded, demanded));
}
