//! Plays the actions of one call as a stream, word by word, making nothing before it is asked for.

use super::super::failure;
use super::super::secrets::Secrets;
use super::script::{Action, Fault, Shape, Voice};
use crate::core::failure::{Failure, FailureKind};
use crate::core::item::{Item, text_of};
use crate::core::logprob::{Likely, Logprob};
use crate::core::ports::upstream::{FinishReason, ModelRequest, ToolCallFragment, UpstreamEvent, UpstreamStream};
use crate::core::usage::Usage;
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::iter;
use std::time::Duration;

/// The smallest thing that can happen.
enum Beat {
    Event(UpstreamEvent),
    Open,
    Pause(Duration),
    Stall,
    Fail(Failure),
    Finish(FinishReason),
}

type Beats = Box<dyn Iterator<Item = Beat> + Send>;

/// The stream of one call that does all this.
pub fn play(actions: Vec<Action>, request: &ModelRequest) -> UpstreamStream {
    let calls = actions.iter().any(|action| matches!(action, Action::Call { .. }));
    let ids = if calls { fingerprint(request) } else { 0 };
    let mut calls = 0;
    let beats = prepared(actions, request).into_iter().flat_map(move |action| {
        calls += u32::from(matches!(action, Action::Call { .. }));
        beats(action, ids, calls)
    });
    let player = Player {
        beats: Box::new(beats),
        next: VecDeque::new(),
        opened: false,
        over: false,
        usage: Usage { input: words_in(request), ..Usage::default() },
        limit: request.max_output_tokens.unwrap_or(u64::MAX),
        finish: None,
        called: false,
        logprobs: asked_logprobs(request),
    };
    let events = stream::unfold(player, |mut player| async move { Some((player.next().await?, player)) });
    Box::pin(events.fuse())
}

/// The actions with echoes made into text, and a line break between texts that follow one another.
fn prepared(actions: Vec<Action>, request: &ModelRequest) -> Vec<Action> {
    let mut prepared = Vec::with_capacity(actions.len());
    let mut after_text = false;
    for action in actions {
        let action = if let Action::Echo(what) = action { Action::say(what.of(request)) } else { action };
        let is_text = matches!(action, Action::Say { voice: Voice::Text, .. } | Action::Count { .. });
        if is_text && after_text {
            prepared.push(Action::say("\n"));
        }
        after_text = is_text || after_text && matches!(action, Action::Open | Action::Wait(_));
        prepared.push(action);
    }
    prepared
}

struct Player {
    beats: Beats,
    next: VecDeque<UpstreamEvent>,
    opened: bool,
    over: bool,
    /// A piece of the answer counts as one token, a word of the request likewise.
    usage: Usage,
    limit: u64,
    /// The finish reason the script asked for.
    finish: Option<FinishReason>,
    called: bool,
    /// How many likely tokens the request asks for beside each, if it asks at all.
    logprobs: Option<usize>,
}

impl Player {
    async fn next(&mut self) -> Option<Result<UpstreamEvent, Failure>> {
        loop {
            if let Some(event) = self.next.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            match self.beats.next() {
                Some(Beat::Event(_)) if self.usage.output >= self.limit => {
                    self.finish = Some(FinishReason::Length);
                    self.end();
                }
                Some(Beat::Event(event)) => self.tell(event),
                Some(Beat::Open) => self.open(),
                Some(Beat::Pause(time)) => tokio::time::sleep(time).await,
                Some(Beat::Stall) => std::future::pending().await,
                Some(Beat::Finish(reason)) => self.finish = Some(reason),
                Some(Beat::Fail(failure)) => {
                    self.over = true;
                    return Some(Err(failure));
                }
                None => self.end(),
            }
        }
    }

    fn open(&mut self) {
        if !std::mem::replace(&mut self.opened, true) {
            self.next.push_back(UpstreamEvent::Opened);
        }
    }

    fn tell(&mut self, event: UpstreamEvent) {
        self.open();
        self.usage.output += 1;
        self.usage.reasoning += u64::from(matches!(event, UpstreamEvent::Reasoning(_)));
        self.called |= matches!(event, UpstreamEvent::ToolCall(_));
        if let (UpstreamEvent::Text(word), Some(top)) = (&event, self.logprobs) {
            self.next.push_back(UpstreamEvent::Logprobs(vec![certain(word, top)]));
        }
        self.next.push_back(event);
    }

    fn end(&mut self) {
        self.open();
        let natural = if self.called { FinishReason::ToolCalls } else { FinishReason::Stop };
        self.next.push_back(UpstreamEvent::Usage(self.usage));
        self.next.push_back(UpstreamEvent::Finish(self.finish.unwrap_or(natural)));
        self.over = true;
    }
}

/// `ids` makes the ids of calls differ between conversations; `number` counts the calls of this one from 1.
fn beats(action: Action, ids: u64, number: u32) -> Beats {
    let one = |beat| Box::new(iter::once(beat));
    match action {
        Action::Say { voice, text } => {
            let event = match voice {
                Voice::Text => UpstreamEvent::Text,
                Voice::Reasoning => UpstreamEvent::Reasoning,
                Voice::Refusal => UpstreamEvent::Refusal,
            };
            Box::new(words(text).map(move |word| Beat::Event(event(word))))
        }
        Action::Count { to, pause } => Box::new((1..=to).flat_map(move |number| {
            let separator = if number < to { " " } else { "" };
            let pause = (!pause.is_zero()).then_some(Beat::Pause(pause));
            let token = UpstreamEvent::Text(format!("{number}{separator}"));
            pause.into_iter().chain(iter::once(Beat::Event(token)))
        })),
        Action::Call { name, arguments, shape } => {
            let id = format!("call_{ids:016x}_{number}");
            Box::new(
                fragments(name, arguments, shape, id, number - 1)
                    .into_iter()
                    .map(UpstreamEvent::ToolCall)
                    .map(Beat::Event),
            )
        }
        // `prepared` has made the one into text, and the other is said when it is its turn.
        Action::Echo(_) | Action::Mend(_) => Box::new(iter::empty()),
        Action::Open => one(Beat::Open),
        Action::Wait(time) => one(Beat::Pause(time)),
        Action::Stall => one(Beat::Stall),
        Action::Cut => {
            let text = "upstream `rehearsal` broke off, as its script told it to";
            one(Beat::Fail(Failure::new(FailureKind::UpstreamBroken, text)))
        }
        Action::Fail(fault) => one(Beat::Fail(failure_of(&fault))),
        Action::Finish(reason) => one(Beat::Finish(reason)),
    }
}

fn fragments(name: String, arguments: String, shape: Shape, id: String, index: u32) -> Vec<ToolCallFragment> {
    let index = match (shape.no_index, shape.same_index) {
        (true, _) => None,
        (_, true) => Some(0),
        _ => Some(index),
    };
    let id = (!shape.no_ids).then_some(id);
    let mut fragments = vec![ToolCallFragment { index, id, name: Some(name), ..Default::default() }];
    if shape.fragments {
        let rest = arguments.chars().map(|c| ToolCallFragment { index, arguments: c.into(), ..Default::default() });
        fragments.extend(rest);
    } else if let Some(first) = fragments.first_mut() {
        first.arguments = arguments;
    }
    fragments
}

/// Mapped as a real server's refusal is, so that scripts exercise the real thing.
fn failure_of(fault: &Fault) -> Failure {
    let code = fault.context_length.then_some("context_length_exceeded");
    let body = json!({"error": {"message": "the script told it to", "code": code}});
    let headers = fault.retry_after.map(|seconds| (RETRY_AFTER, seconds.into()));
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (headers, body) = (HeaderMap::from_iter(headers), body.to_string());
    failure::of_status("rehearsal", status, &headers, body.as_bytes(), &Secrets::default())
}

fn asked_logprobs(request: &ModelRequest) -> Option<usize> {
    let top = || request.params.get("top_logprobs").and_then(Value::as_u64).unwrap_or(0);
    (request.params.get("logprobs") == Some(&Value::Bool(true))).then(|| usize::try_from(top()).unwrap_or(0))
}

/// A script knows what it says, so nothing else was likely at all.
fn certain(word: &str, top: usize) -> Logprob {
    let token = Likely { token: word.to_owned(), logprob: 0.0, bytes: word.as_bytes().to_vec() };
    Logprob { top_logprobs: iter::repeat_n(token.clone(), top.min(1)).collect(), token }
}

/// Words, each with the white space after it.
fn words(text: String) -> impl Iterator<Item = String> + Send {
    let mut at = 0;
    iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let space = rest.get(word..)?.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len() - word);
        at += word + space;
        rest.get(..word + space).map(str::to_owned)
    })
}

fn words_in(request: &ModelRequest) -> u64 {
    let count = |text: &str| text.split_whitespace().count() as u64;
    let item_words = |item: &Item| match item {
        Item::Message(message) => count(&text_of(&message.content)),
        Item::Reasoning(reasoning) => count(&reasoning.text),
        Item::ToolCall(call) => count(&call.arguments),
        Item::ToolOutput(output) => count(&text_of(&output.content)),
        Item::Compaction(_) | Item::Opaque { .. } => 0,
    };
    let instructions = request.instructions.as_deref().map_or(0, count);
    instructions + request.items.iter().map(|item| item_words(item)).sum::<u64>()
}

/// A number that tells conversations apart and is the same for the same one.
fn fingerprint(request: &ModelRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&serde_json::to_vec(&request.items).unwrap_or_default());
    hasher.finish()
}
