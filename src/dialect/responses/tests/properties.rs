//! Whatever happens in whatever order, the stream is well formed and its parts add up to the object. The checker reads
//! frames as a client does and knows nothing of the fold.

use super::*;
use crate::core::failure::{Failure, FailureKind};
use crate::core::ports::store::Link;
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::FinishReason;
use crate::core::run::Cancel;
use crate::dialect::responses::contents;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn input() -> impl Strategy<Value = Input> {
    let name = prop::sample::select(vec!["", "look", "act", "ask", "guess"]);
    let arguments = prop::sample::select(vec!["", "{", "}", "{}", "x"]);
    let fragment = (0..3u32, name, arguments).prop_map(|(index, name, arguments)| call(index, name, arguments));
    let ends = (0..4u32, any::<bool>()).prop_map(|(number, well)| match done(number, "out") {
        Input::ToolDone(done) if !well => {
            Input::ToolDone(ToolDone { result: Err(ToolError::TellModel("no".into())), ..done })
        }
        done => done,
    });
    prop_oneof![
        2 => Just(upstream(UpstreamEvent::Opened)),
        4 => Just(text("t\n\u{2028}é")),
        2 => Just(upstream(UpstreamEvent::Refusal("no".into()))),
        3 => Just(upstream(UpstreamEvent::Reasoning("r".into()))),
        2 => (0..2u32).prop_map(sealed),
        3 => prop::sample::select(vec!["t", "\u{2028}"]).prop_map(likely),
        1 => Just(upstream(UpstreamEvent::Finish(FinishReason::Length))),
        8 => fragment,
        6 => Just(CLOSED),
        8 => ends,
        2 => (0..4u32).prop_map(begun),
        1 => Just(Input::UpstreamClosed(Err(Failure::new(FailureKind::UpstreamBroken, "cut")))),
        3 => Just(Input::AnswerChecked(Ok(()))),
        3 => Just(Input::AnswerChecked(Err("bad".into()))),
        1 => Just(Input::Deadline),
        1 => Just(Input::Cancelled(Cancel::Disconnected)),
    ]
}

/// What a careful client knows of a stream.
#[derive(Default)]
struct Client {
    next: u64,
    queued: bool,
    open: BTreeMap<u64, Value>,
    done: BTreeMap<u64, Value>,
    last: Option<Value>,
    ended: bool,
}

impl Client {
    fn read(&mut self, frame: &str) {
        assert!(!self.ended, "{frame} after the end");
        if frame == "data: [DONE]\n\n" {
            assert!(self.last.is_some());
            self.ended = true;
            return;
        }
        let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let data = data.strip_suffix("\n\n").unwrap();
        assert!(!data.contains(['\n', '\r']), "{data}");
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["type"], name);
        assert_eq!(event["sequence_number"], self.next);
        match self.next {
            0 => assert_eq!(name, "response.created"),
            1 if name == "response.queued" => self.queued = true,
            1 => assert_eq!(name, "response.in_progress"),
            2 if self.queued => assert_eq!(name, "response.in_progress"),
            _ => self.event(name, &event),
        }
        if self.next < 2 {
            assert_eq!(event["response"]["status"], if background(&event) { "queued" } else { "in_progress" });
        }
        self.next += 1;
    }

    fn event(&mut self, name: &str, event: &Value) {
        assert!(self.last.is_none(), "{name} after the terminal event");
        let at = event["output_index"].as_u64();
        match name.strip_prefix("response.").unwrap() {
            "completed" | "failed" | "incomplete" => {
                assert!(self.open.is_empty(), "{:?} left open", self.open);
                assert_eq!(event["response"]["status"], name.strip_prefix("response.").unwrap());
                self.last = Some(event["response"].clone());
            }
            "output_item.added" => {
                assert_eq!(at, Some((self.open.len() + self.done.len()) as u64), "indexes in order, without a gap");
                self.open.insert(at.unwrap(), event["item"].clone());
            }
            "output_item.done" => {
                let mut built = self.open.remove(&at.unwrap()).expect("an item that is not open");
                // What came in pieces must be what is said to have come; the rest is only known at the end.
                for key in ["status", "output", "error", "encrypted_content", "phase"] {
                    if let Some(told) = event["item"].get(key) {
                        built[key] = told.clone();
                    }
                }
                assert_ne!(built["status"], "in_progress");
                assert_eq!(built, event["item"]);
                self.done.insert(at.unwrap(), built);
            }
            piece => {
                let item =
                    self.open.get_mut(&at.unwrap()).unwrap_or_else(|| panic!("{event} of an item that is not open"));
                assert_eq!(item["id"], event["item_id"]);
                apply(item, piece, event);
            }
        }
    }
}

fn background(event: &Value) -> bool {
    event["response"]["background"] == true
}

fn apply(item: &mut Value, piece: &str, event: &Value) {
    let (what, how) = piece.rsplit_once('.').unwrap();
    let key = match what {
        "output_text" | "reasoning_text" | "reasoning_summary_text" => "text",
        "refusal" => "refusal",
        "function_call_arguments" | "mcp_call_arguments" => {
            match how {
                "delta" => push(&mut item["arguments"], &event["delta"]),
                _ => assert_eq!(item["arguments"], event["arguments"]),
            }
            return;
        }
        "mcp_call" => return assert_eq!(item["type"], "mcp_call"),
        _ => "",
    };
    let (place, kind) = match what.strip_prefix("reasoning_") {
        Some(kind @ ("summary_part" | "summary_text")) => ("summary", kind),
        _ => ("content", what),
    };
    let at = event[format!("{place}_index")].as_u64().unwrap() as usize;
    let parts = item[place].as_array_mut().unwrap();
    match (kind, how) {
        ("content_part" | "summary_part", "added") => {
            assert_eq!(at, parts.len());
            parts.push(event["part"].clone());
        }
        ("content_part" | "summary_part", _) => assert_eq!(parts[at], event["part"]),
        (kind, _) if at + 1 != parts.len() || !parts[at]["type"].as_str().unwrap().starts_with(kind) => {
            panic!("{event} does not belong to the last of {parts:?}")
        }
        (_, "delta") => push(&mut parts[at][key], &event["delta"]),
        _ => assert_eq!(parts[at][key], event[key]),
    }
    if what == "output_text" {
        let told = event["logprobs"].as_array().unwrap().clone();
        match how {
            "delta" => parts[at]["logprobs"].as_array_mut().unwrap().extend(told),
            _ => assert_eq!(parts[at]["logprobs"], Value::from(told)),
        }
    }
}

fn push(text: &mut Value, more: &Value) {
    *text = json!(format!("{}{}", text.as_str().unwrap(), more.as_str().unwrap()));
}

/// What may be asked of a run.
#[derive(Clone, Debug)]
struct Wishes {
    brings: bool,
    background: bool,
    sums_up: bool,
    summary: bool,
    demands: bool,
    include: Option<&'static str>,
    activity: ToolActivity,
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let activities = vec![ToolActivity::Standard, ToolActivity::Hidden, ToolActivity::FunctionCall];
    let include = prop::option::of(Just("reasoning.encrypted_content"));
    (any::<[bool; 5]>(), include, prop::sample::select(activities)).prop_map(|(wishes, include, activity)| {
        let [brings, background, sums_up, summary, demands] = wishes;
        Wishes { brings, background, sums_up, summary, demands, include, activity }
    })
}

impl Wishes {
    fn begin(&self) -> Shown {
        let mut body = asked();
        body["background"] = json!(self.background);
        body["include"] = self.include.into_iter().collect();
        if self.summary {
            body["reasoning"] = json!({"summary": "auto"});
        }
        if self.brings {
            body["tools"] = json!([{"type": "function", "name": "ask"}]);
        }
        if self.sums_up {
            body["context_management"] = json!([{"type": "compaction", "compact_threshold": 1}]);
        }
        if self.demands {
            body["text"] = json!({"format": {"type": "json_object"}});
        }
        Shown::new(body, self.activity)
    }

    /// Checks a run that is over. One more reader has had the stream up to `seen`.
    fn check(&self, shown: Shown, seen: prop::sample::Index) -> Result<(), TestCaseError> {
        let mut client = Client::default();
        shown.frames.iter().for_each(|frame| client.read(frame));
        prop_assert!(client.ended, "a stream that does not end");
        let last = client.last.unwrap();
        prop_assert_eq!(&last["output"], &client.done.into_values().collect::<Value>());
        prop_assert_eq!(&last, &serde_json::to_value(shown.fold.resource()).unwrap());
        let stored = shown.record.stored(None, None, shown.journal);
        prop_assert_eq!(stored.output.as_ref(), shown.machine.output());
        let record = Record::of(&stored).unwrap();
        prop_assert_eq!(&last, &serde_json::to_value(record.resource(stored.journal.events())).unwrap());
        // A conversation shows its items as they were shown.
        let chain = [Link::Response(Arc::new(stored.clone()))];
        let listed = serde_json::to_value(contents::of(&chain, &BTreeSet::new())).unwrap();
        prop_assert_eq!(&listed.as_array().unwrap()[1..], last["output"].as_array().unwrap().as_slice());
        // Whoever has seen a part of the stream gets the rest of it, to the letter.
        prop_assert_eq!(&rest(&record, &stored.journal, 0), &shown.frames);
        let (seen, done) = (seen.index(shown.frames.len()) + 1, shown.frames.len() - 1);
        prop_assert_eq!(&rest(&record, &stored.journal, seen), &shown.frames[done.min(seen)..]);
        for item in last["output"].as_array().unwrap().iter().filter(|item| item["type"] == "reasoning") {
            prop_assert!(self.include.is_some() || item.get("encrypted_content").is_none(), "unasked: {item}");
            let parts = item.get(if self.summary { "content" } else { "summary" });
            prop_assert!(parts.is_none_or(|parts| parts == &json!([])), "shown twice: {item}");
        }
        if self.activity != ToolActivity::FunctionCall {
            let calls = last["output"].as_array().unwrap().iter().filter(|item| item["type"] == "function_call");
            prop_assert!(
                calls.clone().all(|call| call["name"] == "ask"),
                "a server's call as the client's: {:?}",
                calls.collect::<Vec<_>>()
            );
        }
        Ok(())
    }
}

/// What a reader is told who has had this many frames.
fn rest(record: &Record, journal: &Journal, seen: usize) -> Vec<String> {
    let mut stream = EventStream::after(record.head.clone(), seen.checked_sub(1).map(|last| last as u64));
    let mut frames = stream.open();
    for told in journal.told() {
        stream.number(told.sequence);
        frames.extend(stream.on(&told.event));
    }
    frames.into_iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

impl Shown {
    /// The run in another process, which has the first `kept` events on record, to a reader who has had a part of what was
    /// told of them.
    fn resumed(&self, kept: usize, seen: prop::sample::Index) -> Self {
        let mut journal = Journal::default();
        self.journal.told().take(kept).for_each(|told| journal.push(told));
        let mut next = Self::new(self.body.clone(), self.record.head.activity);
        let told = rest(&next.record, &journal, 0);
        let seen = seen.index(told.len() + 1);
        assert_eq!(told[..seen], self.frames[..seen]);
        // As `Scribe::go_on_after` has it, and a log that a reader comes back to.
        next.frames = self.frames[..seen].to_vec();
        next.frames.extend(rest(&next.record, &journal, seen));
        next.stream = EventStream::after(next.record.head.clone(), Some(next.frames.len() as u64 - 1));
        drop(next.stream.open());
        for told in journal.told() {
            assert_eq!(next.numbering.number(&told.event), told.sequence);
            next.fold.on(&told.event);
            drop(next.stream.on(&told.event));
            next.journal.push(told);
        }
        next.play([Input::Resumed(journal)]);
        next
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_run_is_a_well_formed_stream_that_adds_up_to_the_object(
        inputs in prop::collection::vec(input(), 0..60),
        wishes in wishes(),
        seen in any::<prop::sample::Index>(),
    ) {
        let mut shown = wishes.begin();
        shown.feed(inputs.into_iter().chain([Input::Cancelled(Cancel::Disconnected)]));
        wishes.check(shown, seen)?;
    }

    /// Wherever its journal ends when a process dies, and however often.
    #[test]
    fn a_run_that_is_resumed_is_one_stream_all_the_same(
        lives in prop::collection::vec((prop::collection::vec(input(), 0..25), any::<[prop::sample::Index; 2]>()), 1..4),
        inputs in prop::collection::vec(input(), 0..25),
        wishes in wishes(),
        seen in any::<prop::sample::Index>(),
    ) {
        let mut shown = wishes.begin();
        shown.play([Input::Submitted]);
        let mut survived = 0;
        for (inputs, [kept, seen]) in lives {
            shown.play(inputs);
            let told = shown.journal.len() as usize;
            survived += kept.index(told - survived + 1);
            if survived == told && shown.journal.outcome().is_some() {
                // There is nothing to resume.
                return wishes.check(shown, seen);
            }
            shown = shown.resumed(survived, seen);
        }
        shown.play(inputs.into_iter().chain([Input::Cancelled(Cancel::Disconnected)]));
        wishes.check(shown, seen)?;
    }
}
