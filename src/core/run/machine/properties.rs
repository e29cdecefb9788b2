//! Whatever happens in whatever order, the events of a run are well formed. The checker knows nothing of the machine.

use super::tests::{agent, machine, tool};
use super::*;
use crate::core::event::Delta;
use crate::core::failure::Overflow;
use crate::core::format::{FormatSupport, OutputFormat, Shape};
use crate::core::item::{Message, Origin, Role, ToolCall, ToolOutput, text_of};
use crate::core::journal::{Journal, Told};
use crate::core::ports::upstream::ToolCallFragment;
use crate::core::run::{Compaction, Limits, Truncation};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn input() -> impl Strategy<Value = Input> {
    let upstream = |event| Just(Input::Upstream(event));
    let fragment = (
        prop::option::of(0..3u32),
        prop::option::of(prop::sample::select(vec!["", "a", "b", "c"])),
        prop::option::of(prop::sample::select(vec!["", "look", "act", "ask", "guess"])),
        prop::sample::select(vec!["", "{", "}", "{}", "x"]),
    );
    let fragment = fragment.prop_map(|(index, id, name, arguments)| {
        let (id, name) = (id.map(str::to_owned), name.map(str::to_owned));
        Input::Upstream(UpstreamEvent::ToolCall(ToolCallFragment {
            index,
            id,
            name,
            arguments: arguments.into(),
            ..Default::default()
        }))
    });
    let ids = || (0..4u32).prop_map(|number| RunId::new(uuid::Uuid::nil()).call(number));
    let failure = || Failure::new(FailureKind::UpstreamBroken, "cut");
    prop_oneof![
        4 => upstream(UpstreamEvent::Opened),
        4 => upstream(UpstreamEvent::Text("t".into())),
        1 => upstream(UpstreamEvent::Refusal("no".into())),
        2 => upstream(UpstreamEvent::Reasoning("r".into())),
        2 => upstream(UpstreamEvent::Sealed { maker: "m".into(), piece: Map::new() }),
        1 => upstream(UpstreamEvent::Logprobs(vec![])),
        1 => upstream(UpstreamEvent::Usage(Usage { output: 7, ..Usage::default() })),
        1 => upstream(UpstreamEvent::Finish(FinishReason::Length)),
        8 => fragment,
        6 => Just(Input::UpstreamClosed(Ok(()))),
        1 => Just(Input::UpstreamClosed(Err(failure()))),
        2 => prop::option::of(20..200_u64).prop_map(|window| Input::UpstreamClosed(Err(too_long(window)))),
        8 => ids().prop_map(|id| Input::ToolDone(ToolDone { call_id: id, result: Ok(vec![Part::text("out")]) })),
        1 => ids().prop_map(|id| Input::ToolDone(ToolDone { call_id: id, result: Err(ToolError::Fatal("x".into())) })),
        2 => ids().prop_map(|id| Input::ToolDoing { call_id: id, doing: "p".into() }),
        3 => Just(Input::AnswerChecked(Ok(()))),
        3 => Just(Input::AnswerChecked(Err("bad".into()))),
        1 => Just(Input::Deadline),
        1 => Just(Input::Cancelled(Cancel::Disconnected)),
    ]
}

fn too_long(window: Option<u64>) -> Failure {
    let overflow = window.map(|window| Box::new(Overflow { window: Some(window), tokens: None }));
    Failure { overflow, ..Failure::new(FailureKind::ContextLength, "long") }
}

/// Two turns, the first with a call.
fn history() -> Vec<Arc<Item>> {
    let said = |role, text: &str| Item::Message(Message::of(role, text));
    let (id, call_id, name, arguments) = (String::new(), "old".to_owned(), "look".to_owned(), "{}".to_owned());
    let (origin, status, extra) = (Origin::Server, Status::Completed, Map::new());
    let output =
        ToolOutput { id: id.clone(), call_id: call_id.clone(), content: vec![], failed: false, extra: Map::new() };
    let call = ToolCall { id, call_id, name, arguments, origin, status, extra };
    let turn =
        [said(Role::User, "look"), Item::ToolCall(call), Item::ToolOutput(output), said(Role::Assistant, "seen")];
    turn.into_iter().chain([said(Role::User, "and now?")]).map(Arc::new).collect()
}

fn about_length() -> impl Strategy<Value = (Truncation, Option<Compaction>)> {
    let compaction = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Compaction::At(1))),
        1 => Just(Some(Compaction::At(70))),
        1 => Just(Some(Compaction::NearlyFull)),
        1 => Just(Some(Compaction::Only { told: None })),
    ];
    (prop::sample::select(vec![Truncation::Disabled, Truncation::Auto]), compaction)
}

#[derive(Default)]
struct Checker {
    open: BTreeMap<u32, (Item, String)>,
    done: BTreeMap<u32, Arc<Item>>,
    started_tools: BTreeSet<String>,
    /// Calls of tools with effects that are known to have begun, and calls that have ended.
    final_tools: BTreeSet<String>,
    journal: Journal,
    /// Calls begun since the last model call.
    calls: usize,
    most_calls: usize,
    finished: Option<Outcome>,
    /// The answers that had to be checked, and the last of them while its verdict is out.
    checks: usize,
    in_check: Option<String>,
    found_good: Option<String>,
    /// Nothing but what was found good may be told as an answer, until the model refuses to answer.
    held: bool,
    refused: bool,
}

impl Checker {
    fn verdict(&mut self, good: bool) {
        if let Some(text) = self.in_check.take() {
            self.found_good = good.then_some(text);
        }
    }

    fn see(&mut self, effect: &Effect) {
        assert!(self.finished.is_none(), "{effect:?} after the end");
        match effect {
            Effect::RunTool(call) => assert!(self.started_tools.insert(call.call_id.clone()), "{call:?} started twice"),
            Effect::CheckAnswer(text) => {
                assert!(self.open.is_empty(), "a check with {:?} open", self.open);
                self.checks += 1;
                assert!(self.checks <= if self.held { 2 } else { 1 }, "{} checks", self.checks);
                self.in_check = Some(text.clone());
            }
            Effect::CallUpstream(request) => {
                assert!(self.open.is_empty(), "a model call with {:?} open", self.open);
                self.calls = 0;
                paired(&request.items);
            }
            Effect::Abort => {}
            Effect::Emit(event) => {
                self.journal.push(Told { sequence: self.journal.len(), event: event.clone() });
                self.event(event);
            }
        }
    }

    /// The process is gone. What only reads may be run again, and what had not begun; answers have to be checked anew.
    fn crash(&mut self) {
        self.started_tools.retain(|call_id| self.final_tools.contains(call_id));
        (self.checks, self.in_check) = (0, None);
    }

    fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ItemStarted { index, item } => {
                assert!(!self.done.contains_key(index), "item {index} begun again");
                self.calls += usize::from(matches!(item.as_ref(), Item::ToolCall(_)));
                self.most_calls = self.most_calls.max(self.calls);
                let expected = self.open.len() + self.done.len();
                assert_eq!(*index as usize, expected, "indexes without gaps, in order of start");
                assert!(self.open.insert(*index, (item.as_ref().clone(), String::new())).is_none());
            }
            RunEvent::Delta { index, delta } => {
                self.refused |= matches!(delta, Delta::Refusal(_));
                let (_, text) = self.open.get_mut(index).expect("a delta of an item that is not open");
                match delta {
                    Delta::Text(more) | Delta::Refusal(more) | Delta::Reasoning(more) | Delta::Arguments(more) => {
                        text.push_str(more);
                    }
                    Delta::Logprobs(_) => {}
                    Delta::Progress(_) => {
                        let Some((Item::ToolOutput(output), _)) = self.open.get(index) else { panic!("{event:?}") };
                        let acts = |item: &Item| matches!(item, Item::ToolCall(call) if call.call_id == output.call_id && call.name == "act");
                        if self.done.values().any(|item| acts(item)) {
                            self.final_tools.insert(output.call_id.clone());
                        }
                    }
                }
            }
            RunEvent::ItemDone { index, item } => {
                let (begun, text) = self.open.remove(index).expect("the end of an item that is not open");
                assert_eq!(id(&begun), id(item));
                match item.as_ref() {
                    Item::Message(message) if self.held && !self.refused && message.status == Status::Completed => {
                        assert_eq!(self.found_good.as_ref(), Some(&text), "told unchecked");
                    }
                    Item::Message(message) => assert_eq!(text_of(&message.content), text),
                    Item::Reasoning(reasoning) => assert_eq!(reasoning.text, text),
                    Item::ToolCall(call) => assert_eq!(call.arguments, text),
                    Item::ToolOutput(output) => drop(self.final_tools.insert(output.call_id.clone())),
                    _ => {}
                }
                self.done.insert(*index, Arc::clone(item));
            }
            RunEvent::Finished { outcome } => {
                assert!(self.open.is_empty(), "{:?} left open", self.open);
                self.finished = Some(outcome.clone());
            }
            RunEvent::Started
            | RunEvent::Resumed
            | RunEvent::StepDone { .. }
            | RunEvent::Spent { .. }
            | RunEvent::Waiting { .. } => {}
        }
    }
}

fn id(item: &Item) -> &str {
    match item {
        Item::Message(item) => &item.id,
        Item::Reasoning(item) => &item.id,
        Item::ToolCall(item) => &item.id,
        Item::ToolOutput(item) => &item.id,
        Item::Compaction(item) => &item.id,
        Item::Opaque { .. } => "",
    }
}

/// Each whole server call has one output and each output its call.
fn paired(items: &[Arc<Item>]) {
    let mut waiting = BTreeSet::new();
    for item in items {
        match item.as_ref() {
            Item::ToolCall(ToolCall { call_id, origin: Origin::Server, status: Status::Completed, .. }) => {
                assert!(waiting.insert(call_id.clone()), "call id {call_id} used twice");
            }
            Item::ToolOutput(output) => assert!(waiting.remove(&output.call_id), "{output:?} has no call"),
            _ => {}
        }
    }
    assert!(waiting.is_empty(), "no output for {waiting:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also of a run whose process dies, as often as it may: what was shown stays shown, and no effect comes twice.
    #[test]
    fn any_sequence_of_inputs_gives_a_well_formed_run(
        inputs in prop::collection::vec((input(), prop::bool::weighted(0.1)), 0..60),
        (brings, mortal, parallel) in any::<(bool, bool, bool)>(),
        max_tool_calls in prop::option::of(1..4u64),
        (truncation, compaction) in about_length(),
        support in prop::option::of(prop::sample::select(vec![FormatSupport::Passed, FormatSupport::Enforced])),
    ) {
        let new = || {
            let tools = brings.then(|| vec![tool("ask")]);
            let params = Map::from_iter([("parallel_tool_calls".to_owned(), parallel.into())]);
            let format = support.map(|_| Arc::new(OutputFormat::new(Shape::Object)));
            let (input, compaction) = (history(), compaction.clone());
            let spec = RunSpec {
                input,
                tools,
                format,
                params,
                max_tool_calls,
                truncation,
                compaction,
                ..RunSpec::default()
            };
            let agent = agent(Limits { steps: 3, ..Limits::default() });
            let format_support = support.unwrap_or_default();
            machine(Arc::new(Agent { format_support, ..Agent::clone(&agent) }), spec)
        };
        let held = support == Some(FormatSupport::Passed);
        let (mut machine, mut checker) = (new(), Checker { held, ..Checker::default() });
        let end = (Input::Cancelled(Cancel::Disconnected), false);
        for (input, crashes) in [(Input::Submitted, false)].into_iter().chain(inputs).chain([end]) {
            if let Input::AnswerChecked(verdict) = &input {
                checker.verdict(verdict.is_ok());
            }
            machine.on(input).iter().for_each(|effect| checker.see(effect));
            if crashes && mortal && checker.finished.is_none() {
                machine = new();
                checker.crash();
                machine.on(Input::Resumed(checker.journal.clone())).iter().for_each(|effect| checker.see(effect));
            }
        }
        prop_assert!(checker.finished.is_some(), "a run that does not end");
        prop_assert!(parallel || checker.most_calls <= 1, "{} calls in one step", checker.most_calls);
        let run = checker.started_tools.len() as u64;
        prop_assert!(max_tool_calls.is_none_or(|max| run <= max), "{run} calls run");
        let answers = !matches!(compaction, Some(Compaction::Only { .. }));
        if support.is_some() && answers && checker.finished == Some(Outcome::Completed) {
            prop_assert!(checker.found_good.is_some() || checker.refused, "the answer was not found good");
        }
        prop_assert_eq!(checker.journal.items(), machine.output());
        let folded: Vec<Arc<Item>> = checker.done.into_values().collect();
        prop_assert_eq!(folded.as_slice(), machine.output());
        paired(machine.output());
    }
}
