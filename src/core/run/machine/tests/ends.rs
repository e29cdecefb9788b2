//! What cuts a run short: its limits, its time, a cancel, a failure; and what is told of what was under way.

use super::*;

#[test]
fn at_the_step_limit_one_last_call_without_tools_says_where_it_stands() {
    let mut run = machine(agent(Limits { steps: 1, ..Limits::default() }), spec());
    play(&mut run, [Input::Submitted, OPENED, call(0, "c1", "look", "{}"), CLOSED]);
    let effects = run.on(done("c1", "one"));
    let Some(Effect::CallUpstream(last)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((last.tools.len(), last.tool_choice.clone()), (0, ToolChoice::Auto));
    assert!(last.instructions.as_deref().unwrap().contains("used all the steps"));
    let notes = play(&mut run, [OPENED, call(0, "c2", "look", "{}"), text("so far"), CLOSED]);
    let end =
        ["+2 assistant ''", "~2 so far", "=2 assistant 'so far'", "step 0+0", "finished Incomplete { reason: Steps }"];
    assert_eq!(notes, end);
}

#[rstest]
#[case::while_a_tool_runs(vec![call(0, "c1", "act", "{}"), CLOSED], vec![
    "abort",
    "=1 failed c1 'The run's time was over before this call ended, so its outcome is unknown.'",
    "model [user 'go', server c1 act {}, failed c1 'The run's time was over before this call ended, so its outcome is unknown.'] 0 tools Auto",
])]
#[case::before_a_word_was_said(vec![], vec!["abort", "step 0+0", "model [user 'go'] 0 tools Auto"])]
#[case::in_mid_sentence(vec![text("so")], vec!["abort", "=0 assistant! 'so'", "step 0+0", "finished Incomplete { reason: WallTime }"])]
fn when_its_time_is_over(#[case] before: Vec<Input>, #[case] expected: Vec<&str>) {
    let mut run = machine(agent(Limits::default()), spec());
    play(&mut run, [Input::Submitted, OPENED].into_iter().chain(before));
    assert_eq!(play(&mut run, [Input::Deadline]), expected);
}

#[test]
fn the_closing_words_have_a_deadline_too() {
    let mut run = machine(agent(Limits::default()), spec());
    play(&mut run, [Input::Submitted, OPENED, Input::Deadline]);
    let end = ["abort", "step 0+0", "finished Incomplete { reason: WallTime }"];
    assert_eq!(play(&mut run, [Input::Deadline]), end);
}

#[rstest]
#[case::in_text(vec![text("so")], vec!["abort", "=0 assistant! 'so'", "step 0+0", "finished Cancelled"])]
#[case::in_arguments(vec![call(0, "c1", "look", "{\"x")], vec!["abort", "=0 server! c1 look {\"x", "step 0+0", "finished Cancelled"])]
#[case::in_a_tool(vec![call(0, "c1", "look", "{}"), CLOSED], vec![
    "abort",
    "=1 failed c1 'The run ended before this call did, so its outcome is unknown.'",
    "finished Cancelled",
])]
fn a_cancel_closes_what_is_open_and_nothing_follows(#[case] before: Vec<Input>, #[case] expected: Vec<&str>) {
    let mut run = machine(agent(Limits::default()), spec());
    play(&mut run, [Input::Submitted, OPENED].into_iter().chain(before));
    assert_eq!(play(&mut run, [Input::Cancelled(Cancel::Asked)]), expected);
    let late =
        [text("late"), CLOSED, done("c1", "late"), Input::Deadline, Input::Cancelled(Cancel::Shutdown), broken()];
    assert_eq!(play(&mut run, late), Vec::<String>::new());
}

#[rstest]
#[case::a_reading_tool("look", "failed UpstreamBroken")]
#[case::a_tool_with_effects("act", "failed UpstreamBroken after effects")]
fn a_failure_says_whether_effects_came_before(#[case] name: &str, #[case] end: &str) {
    let mut run = machine(agent(Limits::default()), spec());
    let started = Input::ToolDoing { call_id: id_of("c1"), doing: String::new() };
    play(&mut run, [Input::Submitted, OPENED, call(0, "c1", name, "{}"), CLOSED, started, done("c1", "ok")]);
    assert_eq!(play(&mut run, [OPENED, text("so"), broken()]).last().unwrap(), end);
}

#[test]
fn a_tool_with_effects_that_could_not_be_started_had_none() {
    let mut run = machine(agent(Limits::default()), spec());
    let refused = ToolDone { call_id: id_of("c1"), result: Err(ToolError::TellModel("no such path".into())) };
    play(&mut run, [Input::Submitted, OPENED, call(0, "c1", "act", "{}"), CLOSED, Input::ToolDone(refused)]);
    assert_eq!(play(&mut run, [broken()]).last().unwrap(), "failed UpstreamBroken");
}

#[test]
fn a_call_that_the_token_limit_cut_is_not_run() {
    let mut run = machine(agent(Limits::default()), spec());
    let inputs = [Input::Submitted, OPENED, call(0, "c1", "act", "{}"), finish(FinishReason::Length), CLOSED];
    let notes = play(&mut run, inputs);
    let end = ["=0 server! c1 act {}", "step 0+0", "finished Incomplete { reason: OutputTokens }"];
    assert_eq!(notes[notes.len() - 3..], end);
}
