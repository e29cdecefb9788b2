//! What the loop does, ordering by ordering. Effects are compared as a whole, in a short notation.

mod answers;
mod calls;
mod ends;
mod length;
mod notation;
mod resume;

use super::*;
use crate::core::event::Delta;
use crate::core::item::{Message, Role, ToolCall};
use crate::core::logprob::{Likely, Logprob};
use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::ToolCallFragment;
use crate::core::run::Limits;
use notation::{play, short};
use rstest::rstest;
use uuid::Uuid;

pub(super) fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), ..ToolSpec::default() }
}

/// An agent with a reading tool `look` and a writing tool `act`.
pub(super) fn agent(limits: Limits) -> Arc<Agent> {
    let tools = [tool("look"), tool("act")].into();
    Arc::new(Agent { tools, with_effects: Arc::new(["act".to_owned()].into()), limits, ..Agent::default() })
}

pub(super) fn spec() -> RunSpec {
    RunSpec { input: vec![Arc::new(Item::Message(Message::of(Role::User, "go")))], ..RunSpec::default() }
}

pub(super) fn machine(agent: Arc<Agent>, spec: RunSpec) -> Machine {
    Machine::new(RunId::new(Uuid::nil()), agent, spec).unwrap()
}

fn text(text: &str) -> Input {
    Input::Upstream(UpstreamEvent::Text(text.into()))
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> Input {
    Input::Upstream(UpstreamEvent::ToolCall(ToolCallFragment {
        index: Some(index),
        id: Some(id.into()),
        name: Some(name.into()),
        arguments: arguments.into(),
        ..Default::default()
    }))
}

fn usage(output: u64) -> Input {
    Input::Upstream(UpstreamEvent::Usage(Usage { input: 10, output, ..Usage::default() }))
}

fn finish(reason: FinishReason) -> Input {
    Input::Upstream(UpstreamEvent::Finish(reason))
}

const OPENED: Input = Input::Upstream(UpstreamEvent::Opened);
const CLOSED: Input = Input::UpstreamClosed(Ok(()));

/// `c1` is the first call of the run.
fn id_of(short: &str) -> String {
    RunId::new(Uuid::nil()).call(short[1..].parse::<u32>().unwrap() - 1)
}

fn done(call_id: &str, text: &str) -> Input {
    Input::ToolDone(ToolDone { call_id: id_of(call_id), result: Ok(vec![Part::text(text)]) })
}

fn broken() -> Input {
    Input::UpstreamClosed(Err(Failure::new(FailureKind::UpstreamBroken, "cut")))
}

#[test]
fn an_answer_without_tools() {
    let mut run = machine(agent(Limits::default()), spec());
    let thought = Input::Upstream(UpstreamEvent::Reasoning("hm".into()));
    let inputs =
        [Input::Submitted, OPENED, thought, text("He"), text("llo"), usage(3), finish(FinishReason::Stop), CLOSED];
    assert_eq!(
        play(&mut run, inputs),
        [
            "model [user 'go'] 2 tools Auto",
            "started",
            "+0 thought ''",
            "~0 hm",
            "=0 thought 'hm'",
            "+1 assistant ''",
            "~1 He",
            "~1 llo",
            "=1 assistant 'Hello'",
            "step 10+3",
            "finished Completed",
        ]
    );
}

#[test]
fn what_is_sealed_joins_its_reasoning_or_stands_alone() {
    let thought = |text: &str| Input::Upstream(UpstreamEvent::Reasoning(text.into()));
    let sealed = |block: &str| {
        let piece = Map::from_iter([("id".to_owned(), block.into()), ("data".to_owned(), "AA".into())]);
        Input::Upstream(UpstreamEvent::Sealed { maker: "m".into(), piece })
    };
    let mut run = machine(agent(Limits::default()), spec());
    let inputs = [thought("hm"), sealed("a"), thought("so"), text("H"), sealed("b"), text("i"), sealed("c"), CLOSED];
    assert_eq!(
        play(&mut run, [Input::Submitted, OPENED].into_iter().chain(inputs)).split_off(2),
        [
            "+0 thought ''",
            "~0 hm",
            "~0 so",
            "=0 thought 'hmso' sealed 1",
            "+1 assistant ''",
            "~1 H",
            "~1 i",
            "=1 assistant 'Hi'",
            "+2 thought ''",
            "=2 thought '' sealed 2",
            "step 0+0",
            "finished Completed",
        ]
    );
}

/// A signature may come when the next text has begun. It takes the first place where it cuts nothing in two.
#[test]
fn what_is_sealed_late_waits_for_the_text_to_end() {
    let upstream = |event| Input::Upstream(event);
    let sealed = || upstream(UpstreamEvent::Sealed { maker: "m".into(), piece: Map::new() });
    let thought = || upstream(UpstreamEvent::Reasoning("hm".into()));
    let mut run = machine(agent(Limits::default()), spec());
    let before_a_call = [text("Hi"), sealed(), call(0, "a", "look", "{}")];
    let before_a_thought = [text("So"), sealed(), thought(), call(1, "b", "look", "{}"), sealed()];
    play(&mut run, [Input::Submitted, OPENED].into_iter().chain(before_a_call).chain(before_a_thought).chain([CLOSED]));
    let made: Vec<String> = run.output().iter().map(|item| short(item)).collect();
    let (one, two) = (format!("server {} look {{}}", id_of("c1")), format!("server {} look {{}}", id_of("c2")));
    let alone = "thought '' sealed 1";
    assert_eq!(made, ["assistant 'Hi'", alone, &one, "assistant 'So'", "thought 'hm' sealed 1", &two, alone]);
}

#[test]
fn probabilities_go_with_the_piece_of_text_that_follows() {
    let likely = |token: &str| Likely { token: token.into(), logprob: -0.5, bytes: token.as_bytes().to_vec() };
    let likely = |token: &str| Logprob { token: likely(token), top_logprobs: Vec::new() };
    let heard = |token: &str| Input::Upstream(UpstreamEvent::Logprobs(vec![likely(token)]));
    let mut run = machine(agent(Limits::default()), spec());
    let inputs = [heard("\u{fffd}"), heard("H"), text("H"), text("i"), call(0, "c1", "look", "{}"), heard("!"), CLOSED];
    let notes = play(&mut run, [Input::Submitted, OPENED].into_iter().chain(inputs)).split_off(2);
    assert_eq!(notes[..5], ["+0 assistant ''", "~0 2 likely", "~0 H", "~0 i", "=0 assistant 'Hi'"]);
    let Item::Message(message) = run.output()[0].as_ref() else { panic!("{:?}", run.output()) };
    let part = Part::Text { text: "Hi".into(), logprobs: vec![likely("\u{fffd}"), likely("H")] };
    assert_eq!(message.content, [part]);
}

#[test]
fn parallel_tools_end_in_any_order_and_go_back_in_call_order() {
    let mut run = machine(agent(Limits::default()), spec());
    let step = [
        Input::Submitted,
        OPENED,
        text("a"),
        call(0, "c1", "look", "{\"x\":"),
        call(1, "c2", "act", "{}"),
        call(0, "c1", "", "1}"),
        text("b"),
        CLOSED,
    ];
    let progress = Input::ToolDoing { call_id: id_of("c2"), doing: "acting".into() };
    let mut notes = play(&mut run, step);
    notes.extend(play(&mut run, [progress, done("c2", "two"), done("c2", "again"), done("c1", "one")]));
    assert_eq!(
        notes,
        [
            "model [user 'go'] 2 tools Auto",
            "started",
            "+0 assistant ''",
            "~0 a",
            "=0 assistant 'a'",
            "+1 server c1 look ",
            "~1 args {\"x\":",
            "+2 server c2 act ",
            "~2 args {}",
            "~1 args 1}",
            "+3 assistant ''",
            "~3 b",
            "=1 server c1 look {\"x\":1}",
            "=2 server c2 act {}",
            "=3 assistant 'b'",
            "step 0+0",
            "+4 output c1 ''",
            "run c1 look",
            "+5 output c2 ''",
            "run c2 act",
            "~5 progress acting",
            "=5 output c2 'two'",
            "=4 output c1 'one'",
            "model [user 'go', assistant 'a', server c1 look {\"x\":1}, server c2 act {}, assistant 'b', output c1 'one', output c2 'two'] 2 tools Auto",
        ]
    );
}

#[test]
fn a_client_call_ends_the_turn_after_the_servers_calls_have_run() {
    let brought = RunSpec { tools: Some(vec![tool("ask"), tool("look")]), ..spec() };
    let mut run = machine(agent(Limits::default()), brought);
    let inputs = [
        Input::Submitted,
        OPENED,
        call(0, "c1", "act", ""),
        call(1, "c2", "ask", "{}"),
        call(2, "c3", "look", "{}"),
        CLOSED,
        done("c1", "ok"),
    ];
    assert_eq!(
        play(&mut run, inputs).split_off(1),
        [
            "started",
            "+0 server c1 act ",
            "+1 client c2 ask ",
            "~1 args {}",
            "+2 client c3 look ",
            "~2 args {}",
            "~0 args {}",
            "=0 server c1 act {}",
            "=1 client c2 ask {}",
            "=2 client c3 look {}",
            "step 0+0",
            "+3 output c1 ''",
            "run c1 act",
            "=3 output c1 'ok'",
            "waiting c2 c3",
            "finished ClientTools",
        ]
    );
    assert_eq!(run.output().len(), 4);
}

/// Index, id, name and arguments.
type Fragment<'a> = (Option<u32>, Option<&'a str>, Option<&'a str>, &'a str);

#[rstest]
#[case::one_call_in_pieces(vec![(Some(0), Some("a"), Some("look"), "{\"x\""), (Some(0), None, None, ":1}")], &[("c1", "look", "{\"x\":1}")])]
#[case::id_and_name_repeated_in_every_piece(vec![(Some(0), Some("a"), Some("look"), "{\"x\""), (Some(0), Some("a"), Some("look"), ":1}")], &[("c1", "look", "{\"x\":1}")])]
#[case::interleaved(vec![(Some(0), Some("a"), Some("look"), ""), (Some(1), Some("b"), Some("act"), "{"), (Some(0), None, None, "{}"), (Some(1), None, None, "}")], &[("c1", "look", "{}"), ("c2", "act", "{}")])]
#[case::every_call_at_index_0_with_an_id(vec![(Some(0), Some("a"), Some("look"), "{}"), (Some(0), Some("b"), Some("look"), "{}")], &[("c1", "look", "{}"), ("c2", "look", "{}")])]
#[case::every_call_at_index_0_without_an_id(vec![(Some(0), None, Some("look"), "{}"), (Some(0), None, Some("look"), "{\"x\":1}")], &[("c1", "look", "{}"), ("c2", "look", "{\"x\":1}")])]
#[case::another_name_at_the_same_index(vec![(Some(0), None, Some("look"), "{\"x\""), (Some(0), None, Some("act"), "{}")], &[("c1", "look", "{\"x\""), ("c2", "act", "{}")])]
#[case::no_index_at_all(vec![(None, Some("a"), Some("look"), "{"), (None, None, None, "}"), (None, Some("b"), Some("act"), "{}")], &[("c1", "look", "{}"), ("c2", "act", "{}")])]
#[case::id_only_in_the_second_piece(vec![(Some(0), None, Some("look"), "{"), (Some(0), Some("a"), None, "}")], &[("c1", "look", "{}")])]
#[case::empty_id_and_name_in_later_pieces(vec![(Some(0), Some("a"), Some("look"), "{"), (Some(0), Some(""), Some(""), "}")], &[("c1", "look", "{}")])]
#[case::the_same_id_for_two_indexes(vec![(Some(0), Some("a"), Some("look"), "{}"), (Some(1), Some("a"), Some("look"), "{}")], &[("c1", "look", "{}"), ("c2", "look", "{}")])]
#[case::arguments_before_the_name(vec![(Some(0), Some("a"), None, "{"), (Some(0), Some("a"), Some("look"), "}")], &[("c1", "look", "{}")])]
#[case::no_name_ever(vec![(Some(0), Some("a"), None, "{}")], &[("c1", "", "{}")])]
fn fragments_make_calls(#[case] fragments: Vec<Fragment>, #[case] expected: &[(&str, &str, &str)]) {
    let mut run = machine(agent(Limits::default()), spec());
    run.on(Input::Submitted);
    for (index, id, name, arguments) in fragments {
        run.on(Input::Upstream(UpstreamEvent::ToolCall(ToolCallFragment {
            index,
            id: id.map(Into::into),
            name: name.map(Into::into),
            arguments: arguments.into(),
            ..Default::default()
        })));
    }
    run.on(CLOSED);
    let calls = run.output().iter().filter_map(|item| match item.as_ref() {
        Item::ToolCall(call) => Some((call.call_id.clone(), call.name.as_str(), call.arguments.as_str())),
        _ => None,
    });
    let expected = expected.iter().map(|(id, name, arguments)| (id_of(id), *name, *arguments));
    assert_eq!(calls.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn calls_that_cannot_be_run_are_answered_so_that_the_model_can_go_on() {
    let mut run = machine(agent(Limits::default()), spec());
    let calls = [("c1", "look", "{broken"), ("c2", "look", "[]"), ("c3", "guess", "{}")];
    run.on(Input::Submitted);
    for (at, (id, name, arguments)) in calls.iter().enumerate() {
        run.on(call(at as u32, id, name, arguments));
    }
    let notes = play(&mut run, [CLOSED]);
    let told: Vec<&String> = notes.iter().filter(|note| note.starts_with('=') && note.contains("failed")).collect();
    let parse = "The call was not run: its arguments must be one JSON object, and";
    assert_eq!(
        told,
        [
            &format!(
                "=3 failed c1 '{parse} key must be a string at line 1 column 2. Call again with valid arguments.'"
            ),
            &format!("=4 failed c2 '{parse} they are JSON, but not an object. Call again with valid arguments.'"),
            "=5 failed c3 'There is no tool named `guess`. The tools are: look, act.'",
        ]
    );
    assert!(notes.last().unwrap().starts_with("model ["), "{notes:?}");
}

#[test]
fn a_forced_choice_holds_for_the_first_call_and_tokens_are_counted_over_all() {
    let forced = RunSpec { tool_choice: ToolChoice::Required, max_output_tokens: Some(100), ..spec() };
    let limits = Limits { output_tokens: Some(50), ..Limits::default() };
    let mut run = machine(agent(limits), forced);
    let first = play(&mut run, [Input::Submitted]);
    assert_eq!(first, ["model [user 'go'] 2 tools Required max 50"]);
    play(&mut run, [OPENED, call(0, "c1", "look", "{}"), usage(20), CLOSED]);
    let second = play(&mut run, [done("c1", "")]);
    assert!(second.last().unwrap().ends_with("2 tools Auto max 30"), "{second:?}");
    play(&mut run, [OPENED, call(0, "c2", "look", "{}"), usage(30), CLOSED]);
    assert_eq!(play(&mut run, [done("c2", "")]).last().unwrap(), "finished Incomplete { reason: OutputTokens }");
}

/// It is paid for by whom the run is for, and is not what they have limited.
#[test]
fn what_tools_spend_is_told_and_is_no_part_of_the_answer() {
    let mut run = machine(agent(Limits { output_tokens: Some(50), ..Limits::default() }), spec());
    let spent = || Input::ToolSpent(Usage { input: 900, output: 400, ..Usage::default() });
    assert_eq!(play(&mut run, [spent(), Input::Submitted]).len(), 1, "nothing runs yet");
    play(&mut run, [OPENED, call(0, "c1", "act", "{}"), usage(20), CLOSED]);
    let notes = play(&mut run, [spent(), done("c1", "done")]);
    assert_eq!(notes[0], "spent 900+400");
    assert!(notes.last().unwrap().ends_with("max 30"), "{notes:?}");
}

#[rstest]
#[case::no_such_tool(ToolChoice::Function("nope".into()), None, "`tool_choice` names `nope`, which is not offered. Offered are: look, act.")]
#[case::required_without_tools(ToolChoice::Required, Some(vec![]), "`tool_choice` is `required`, but no tools are offered.")]
fn a_choice_that_cannot_be_met_is_refused(
    #[case] tool_choice: ToolChoice,
    #[case] tools: Option<Vec<ToolSpec>>,
    #[case] message: &str,
) {
    let spec = RunSpec { tool_choice, tools, ..spec() };
    let failure = Machine::new(RunId::new(Uuid::nil()), agent(Limits::default()), spec).unwrap_err();
    assert_eq!(failure, Failure::new(FailureKind::InvalidRequest, message).with_param("tool_choice"));
}
