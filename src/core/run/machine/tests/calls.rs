//! How many calls a run may make: one a step, and so many in all.

use super::*;

fn one_call() -> RunSpec {
    let params = Map::from_iter([("parallel_tool_calls".to_owned(), false.into())]);
    RunSpec { params, ..spec() }
}

#[rstest]
#[case::by_index(vec![(Some(0), Some("a"), "look", "{\"x\""), (Some(1), Some("b"), "act", "{}"), (Some(0), None, "", ":1}"), (Some(1), None, "", " ")])]
#[case::at_one_index(vec![(Some(0), Some("a"), "look", "{\"x\":1}"), (Some(0), Some("b"), "act", "{"), (Some(0), None, "", "}")])]
#[case::without_index_and_id(vec![(None, None, "look", "{\"x\":1}"), (None, None, "act", "{"), (None, None, "", "}")])]
#[case::a_second_one_without_a_name(vec![(Some(0), None, "look", "{\"x\":1}"), (Some(1), None, "", "{}")])]
#[case::a_first_one_whose_name_comes_last(vec![(Some(0), None, "", "{\"x\":1}"), (Some(1), None, "act", "{}"), (Some(0), None, "look", "")])]
fn without_parallel_calls_the_first_of_a_step_is_the_only_one(
    #[case] fragments: Vec<(Option<u32>, Option<&str>, &str, &str)>,
) {
    let mut run = machine(agent(Limits::default()), one_call());
    let mut notes = play(&mut run, [Input::Submitted, OPENED]);
    for (index, id, name, arguments) in fragments {
        let (id, name, arguments) = (id.map(Into::into), Some(name.into()), arguments.into());
        let fragment = ToolCallFragment { index, id, name, arguments, ..Default::default() };
        notes.extend(play(&mut run, [Input::Upstream(UpstreamEvent::ToolCall(fragment))]));
    }
    notes.extend(play(&mut run, [text("t"), CLOSED, done("c1", "seen")]));
    let told = |what: &str| notes.iter().filter(|note| note.starts_with(what)).map(String::as_str).collect::<Vec<_>>();
    assert_eq!(told("+"), ["+0 server c1 look ", "+1 assistant ''", "+2 output c1 ''"]);
    assert_eq!(told("run"), ["run c1 look"]);
    let next = "model [user 'go', server c1 look {\"x\":1}, assistant 't', output c1 'seen'] 2 tools Auto";
    assert_eq!(notes.last().unwrap(), next);
}

#[test]
fn once_the_calls_are_used_up_no_more_are_run_or_offered_and_the_run_ends_well() {
    let limited = RunSpec { max_tool_calls: Some(2), tools: Some(vec![tool("ask")]), ..spec() };
    let mut run = machine(agent(Limits::default()), limited);
    // What cannot be run does not count.
    play(&mut run, [Input::Submitted, OPENED, call(0, "c1", "look", "{"), call(1, "c2", "look", "{}"), CLOSED]);
    let notes = play(&mut run, [done("c2", "one")]);
    assert!(notes.last().unwrap().ends_with("3 tools Auto"), "{notes:?}");
    let step = [OPENED, call(0, "c3", "act", "{}"), call(1, "c4", "act", "{}"), CLOSED, done("c3", "two")];
    let notes = play(&mut run, step);
    let refused = "=7 failed c4 'The call was not run: this request allows 2 tool calls in all, and they are used up. Go on without.'";
    assert_eq!(notes.iter().filter(|note| note.starts_with("run")).collect::<Vec<_>>(), ["run c3 act"]);
    assert!(notes.iter().any(|note| note == refused), "{notes:?}");
    assert!(notes.last().unwrap().ends_with("1 tools Auto"), "{notes:?}");
    // A model that does not listen is told again, and the client's tools still work.
    let notes = play(&mut run, [OPENED, call(0, "c5", "look", "{}"), CLOSED]);
    assert!(notes.iter().any(|note| note.contains("failed c5 'The call was not run")), "{notes:?}");
    let notes = play(&mut run, [OPENED, text("so"), call(0, "c6", "ask", "{}"), CLOSED]);
    assert_eq!(notes[notes.len() - 2..], ["waiting c6", "finished ClientTools"]);
}
