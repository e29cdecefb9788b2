//! A run goes on after its process has died, from wherever its journal ends.

use super::answers::{GOOD, demanding, holding, thought, verdict};
use super::*;
use crate::core::format::FormatSupport;
use crate::core::journal::{Journal, Told};

/// Plays the inputs, dies, and gives what another machine does with the journal.
fn resumed(before: impl IntoIterator<Item = Input>) -> (Machine, Vec<String>) {
    let new = || machine(agent(Limits::default()), RunSpec { tools: Some(vec![tool("ask")]), ..spec() });
    resumed_as(new, before)
}

fn resumed_as(new: impl Fn() -> Machine, before: impl IntoIterator<Item = Input>) -> (Machine, Vec<String>) {
    let (mut dead, mut journal) = (new(), Journal::default());
    for effect in [Input::Submitted].into_iter().chain(before).flat_map(|input| dead.on(input)) {
        if let Effect::Emit(event) = effect {
            journal.push(Told { sequence: journal.len(), event });
        }
    }
    let mut machine = new();
    let notes = play(&mut machine, [Input::Resumed(journal)]);
    (machine, notes)
}

#[rstest]
#[case::before_the_first_word(vec![OPENED], vec!["resumed", "model [user 'go'] 3 tools Auto"])]
#[case::in_a_text(vec![OPENED, text("so far")], vec!["resumed", "=0 assistant 'so far'", "model [user 'go'] 3 tools Auto"])]
#[case::in_arguments(
    vec![OPENED, text("so"), call(0, "c1", "act", "{\"x")],
    vec!["resumed", "=1 server! c1 act {\"x", "model [user 'go'] 3 tools Auto"],
)]
#[case::in_tools_that_only_read(
    vec![call(0, "c1", "look", "{}"), call(1, "c2", "act", "{}"), CLOSED, began("c1")],
    vec!["resumed", "run c1 look", "run c2 act"],
)]
#[case::in_a_tool_with_effects(
    vec![call(0, "c1", "act", "{}"), call(1, "c2", "look", "{}"), CLOSED, began("c1"), done("c2", "seen")],
    vec!["resumed", "=2 failed c1 'UNKNOWN'", "model [user 'go', server c1 act {}, server c2 look {}, failed c1 'UNKNOWN', output c2 'seen'] 3 tools Auto"],
)]
#[case::behind_a_tool(
    vec![call(0, "c1", "act", "{}"), CLOSED, began("c1"), done("c1", "did"), text("and")],
    vec!["resumed", "=2 assistant 'and'", "model [user 'go', server c1 act {}, output c1 'did'] 3 tools Auto"],
)]
fn it_goes_on(#[case] before: Vec<Input>, #[case] expected: Vec<&str>) {
    let (_, notes) = resumed(before);
    let notes: Vec<String> = notes.iter().map(|note| note.replace(UNKNOWN, "UNKNOWN")).collect();
    assert_eq!(notes, expected);
}

const UNKNOWN: &str = "The server was interrupted while this call ran, so its outcome is unknown. It may have done all, \
                       some or nothing of its work. It was not repeated: look before you do it again.";

fn began(call_id: &str) -> Input {
    Input::ToolDoing { call_id: id_of(call_id), doing: "it".into() }
}

/// Nothing of what was held is known any more, so whoever goes on asks for it again, and once more if it is bad.
#[rstest]
#[case::while_it_is_held(vec![thought("hm"), text("{}")], vec!["resumed", "=0 thought 'hm'", "model [user 'go'] 2 tools Auto"])]
#[case::in_the_check(vec![text("{}"), CLOSED], vec!["resumed", "model [user 'go'] 2 tools Auto"])]
#[case::in_the_check_after_thoughts(
    vec![thought("hm"), text("{}"), CLOSED],
    vec!["resumed", "model [user 'go'] 2 tools Auto"],
)]
#[case::while_it_is_mended(
    vec![text("no"), CLOSED, verdict("bad."), OPENED, thought("hm"), text("{}"), CLOSED],
    vec!["resumed", "model [user 'go'] 2 tools Auto"],
)]
#[case::behind_a_tool(
    vec![call(0, "c1", "look", "{}"), CLOSED, done("c1", "seen"), thought("hm"), text("{}"), CLOSED],
    vec!["resumed", "model [user 'go', server c1 look {}, output c1 'seen'] 2 tools Auto"],
)]
fn a_held_answer_is_asked_for_again(#[case] before: Vec<Input>, #[case] expected: Vec<&str>) {
    let (mut machine, notes) = resumed_as(holding, before);
    assert_eq!(notes, expected);
    let mended = play(&mut machine, [text("no"), CLOSED, verdict("bad."), text("{}"), CLOSED, GOOD]);
    let told: Vec<&str> = mended.iter().map(String::as_str).filter(|note| note.starts_with('=')).collect();
    let at = machine.output().len() - 1;
    assert_eq!(
        (told, mended.last().unwrap().as_str()),
        (vec![format!("={at} assistant '{{}}'").as_str()], "finished Completed")
    );
}

/// A journal may end anywhere, also right before the end of the run.
#[rstest]
#[case::found_good(FormatSupport::Passed, vec!["resumed", "finished Completed"])]
#[case::told_before_the_check(FormatSupport::Enforced, vec!["resumed", "check {}"])]
fn an_answer_that_was_told_stays(#[case] support: FormatSupport, #[case] expected: Vec<&str>) {
    let new = || demanding(support, spec());
    let (mut dead, mut journal) = (new(), Journal::default());
    for effect in [Input::Submitted, text("{}"), CLOSED, GOOD].into_iter().flat_map(|input| dead.on(input)) {
        match effect {
            Effect::Emit(RunEvent::Finished { .. }) => break,
            Effect::Emit(event) => journal.push(Told { sequence: journal.len(), event }),
            _ => {}
        }
    }
    assert_eq!(play(&mut new(), [Input::Resumed(journal)]), expected);
}

/// The repeated call is a new one: its items come behind those that were cut off, and its calls have ids of their own.
#[test]
fn what_comes_after_has_places_and_ids_of_its_own() {
    let (mut machine, _) = resumed([text("so"), call(0, "c1", "look", "{")]);
    let notes = play(&mut machine, [call(0, "x", "look", "{}"), CLOSED]);
    let expected =
        ["+2 server c2 look ", "~2 args {}", "=2 server c2 look {}", "step 0+0", "+3 output c2 ''", "run c2 look"];
    assert_eq!(notes, expected);
    let end = play(&mut machine, [done("c2", "seen"), text("fine"), CLOSED]);
    assert_eq!(end.last().unwrap(), "finished Completed");
    let items: Vec<String> = machine.output().iter().map(|item| short(item)).collect();
    assert_eq!(items.len(), 5, "{items:?}");
}
