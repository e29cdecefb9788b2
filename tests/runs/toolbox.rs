//! Calls at work: which may be so at the same time, what they say meanwhile, and how much they hand over. Within the
//! process, as no tool of the daemon's own behaves as badly as these.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use nuncio::core::event::{Delta, Outcome, RunEvent};
use nuncio::core::failure::Failure;
use nuncio::core::item::{Item, Message, Part, Role, text_of};
use nuncio::core::ports::equipment::{Equipment, Equipped};
use nuncio::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolList, ToolSpec, Toolset, Who};
use nuncio::core::ports::upstream::{
    FinishReason, ModelRequest, ToolCallFragment, Upstream, UpstreamEvent, UpstreamStream,
};
use nuncio::core::run::{Agent, Limits, OnDisconnect, RunSpec};
use nuncio::core::usage::Usage;
use nuncio::runs::registry::RunsSettings;
use nuncio::runs::session::SessionKey;
use nuncio::runs::{Brief, Briefing, Listener, Profile, RunRequest, Runs};
use nuncio::store::memory::MemoryStore;
use serde_json::Value;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Barrier, Notify};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes these calls, and is done when it has their outputs, which it notes.
struct Model {
    calls: Vec<&'static str>,
    outputs: Arc<Mutex<Vec<String>>>,
}

impl Upstream for Model {
    fn call(&self, request: ModelRequest) -> UpstreamStream {
        let outputs = request.items.iter().filter_map(|item| match &**item {
            Item::ToolOutput(output) => Some(text_of(&output.content).into_owned()),
            _ => None,
        });
        *self.outputs.lock().unwrap() = outputs.collect();
        let call = |(index, name): (u32, &&str)| {
            UpstreamEvent::ToolCall(ToolCallFragment {
                index: Some(index),
                name: Some((*name).into()),
                arguments: "{}".into(),
                ..ToolCallFragment::default()
            })
        };
        let said = match self.outputs.lock().unwrap().is_empty() {
            true => (0..).zip(&self.calls).map(call).chain([UpstreamEvent::Finish(FinishReason::ToolCalls)]).collect(),
            false => vec![UpstreamEvent::Text("Done.".into()), UpstreamEvent::Finish(FinishReason::Stop)],
        };
        stream::iter([UpstreamEvent::Opened].into_iter().chain(said).map(Ok)).boxed()
    }
}

type Act = Arc<dyn Fn(ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> + Send + Sync>;

#[derive(Clone)]
struct Doer {
    spec: ToolSpec,
    annotations: Annotations,
    act: Act,
}

fn doer<F: Future<Output = Result<Vec<Part>, ToolError>> + Send + 'static>(
    name: &str,
    annotations: Annotations,
    act: impl Fn(ToolContext) -> F + Send + Sync + 'static,
) -> Doer {
    let spec = ToolSpec { name: name.to_owned(), ..ToolSpec::default() };
    Doer { spec, annotations, act: Arc::new(move |context| act(context).boxed()) }
}

impl Tool for Doer {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        self.annotations
    }

    fn summary(&self, _: &Value) -> String {
        "begins".to_owned()
    }

    fn call(&self, _: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        (self.act)(context)
    }
}

#[derive(Clone)]
struct Doers(Vec<Doer>);

impl Equipment for Doers {
    fn equip<'a>(&'a self, _: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        std::future::ready(Ok(Equipped { tools: Arc::new(self.clone()), told: Vec::new() })).boxed()
    }
}

impl Toolset for Doers {
    fn specs(&self) -> ToolList {
        self.0.iter().map(|doer| doer.spec.clone()).collect()
    }

    fn with_effects(&self) -> Arc<HashSet<String>> {
        Arc::default()
    }

    fn get(&self, name: &str) -> Option<Arc<dyn Tool>> {
        let found = self.0.iter().find(|doer| doer.spec.name == name)?;
        Some(Arc::new(found.clone()))
    }

    fn check(&self, _: &str, _: &Value) -> Result<(), String> {
        Ok(())
    }
}

/// A run of these calls of these tools.
struct Running {
    listener: Listener,
    outputs: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Running {
    async fn start(doers: Vec<Doer>, calls: Vec<&'static str>) -> Self {
        let (folder, outputs) = (tempfile::tempdir().unwrap(), Arc::default());
        let agent = Agent { limits: Limits { tool_output: 2000, ..Limits::default() }, ..Agent::default() };
        let profile = Profile {
            description: None,
            id: "nuncio".into(),
            housekeeping: Profile::housekeeping_of(&agent),
            agent: Arc::new(agent),
            upstream: Arc::new(Model { calls, outputs: Arc::clone(&outputs) }),
            equipment: Arc::new(Doers(doers)),
            tool_activity: Default::default(),
            on_disconnect: OnDisconnect::Cancel,
            inherit_instructions: false,
            workspace: None,
        };
        let (workspaces, slow_client_timeout) = (folder.path().into(), PATIENCE);
        let settings = RunsSettings { max_runs: 1, workspaces, slow_client_timeout };
        let runs = Arc::new(Runs::new(settings, Arc::new(MemoryStore::new(NonZeroUsize::MIN))));
        let input = vec![Arc::new(Item::Message(Message::of(Role::User, "Go")))];
        let request = RunRequest {
            run: Runs::new_id(),
            principal: "ann".into(),
            max_runs: None,
            profile: Arc::new(profile),
            brief: Briefing::Done(Box::new(Brief {
                spec: RunSpec { input, ..RunSpec::default() },
                session: SessionKey::ByHistory,
                user: None,
                housekeeping: false,
                off_record: false,
                previous: None,
                place: None,
            })),
            record: None,
            ended_at: Default::default(),
            on_disconnect: OnDisconnect::Cancel,
            carry: String::new(),
            key: None,
            body: None,
        };
        Self { listener: runs.start(request).await.unwrap(), outputs, _folder: folder }
    }

    /// All that was told, once it has ended well, and what the model got of its calls.
    async fn end(mut self) -> (Vec<RunEvent>, Vec<String>) {
        let mut events = Vec::new();
        while let Some(told) = timeout(PATIENCE, self.listener.next()).await.unwrap() {
            events.push(told.event);
        }
        assert_eq!(events.last(), Some(&RunEvent::Finished { outcome: Outcome::Completed }));
        let outputs = self.outputs.lock().unwrap().clone();
        (events, outputs)
    }
}

/// Gives all others every chance to get in between.
async fn dawdle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_that_is_not_parallel_is_at_work_alone() {
    let (at_work, meeting) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
    let counter = Arc::clone(&at_work);
    let together = doer("together", Annotations::WITH_EFFECTS, move |_| {
        let (at_work, meeting) = (Arc::clone(&counter), Arc::clone(&meeting));
        async move {
            at_work.fetch_add(1, Ordering::SeqCst);
            meeting.wait().await;
            dawdle().await;
            at_work.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![Part::text("met")])
        }
    });
    let alone = Annotations { parallel: false, ..Annotations::WITH_EFFECTS };
    let alone = doer("alone", alone, move |_| {
        let at_work = Arc::clone(&at_work);
        async move {
            let before = at_work.fetch_add(1, Ordering::SeqCst);
            dawdle().await;
            let after = at_work.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![Part::text(format!("{before} before, {after} after"))])
        }
    });
    let calls = vec!["together", "together", "alone", "together", "together", "alone", "alone"];
    let (_, outputs) = Running::start(vec![together, alone], calls).await.end().await;
    let left = "0 before, 1 after";
    assert_eq!(outputs, ["met", "met", left, "met", "met", left, left]);
}

#[tokio::test]
async fn a_flood_of_words_holds_nobody_up_and_most_of_it_is_lost() {
    const BURSTS: usize = 3;
    let through = Arc::new(Notify::new());
    let is_through = Arc::clone(&through);
    let flood = doer("flood", Annotations::READ_ONLY, move |context| {
        let through = Arc::clone(&is_through);
        async move {
            for burst in 0..BURSTS {
                for word in 0..100_000 {
                    context.activity.tell(format!("{burst} {word} {}", "ü".repeat(word % 1000)));
                }
                context.activity.spend(Usage { input: 1, ..Usage::default() });
                dawdle().await;
            }
            through.notify_one();
            Ok(vec![Part::text("through")])
        }
    });
    let running = Running::start(vec![flood], vec!["flood"]).await;
    // Nobody reads yet, and the call comes to its end all the same.
    timeout(PATIENCE, through.notified()).await.unwrap();
    let (events, outputs) = running.end().await;
    assert_eq!(outputs, ["through"]);

    let words: Vec<&String> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Delta { delta: Delta::Progress(words), .. } => Some(words),
            _ => None,
        })
        .collect();
    assert_eq!(words[..3], ["begins", "0 0 ", "0 1 ü"]);
    assert!(words.len() <= 1 + BURSTS * 17, "{} words", words.len());
    assert!(words.iter().all(|words| words.chars().count() <= 256), "{words:?}");

    // What is spent is not lost, and told before the call has ended.
    let spent = |event: &RunEvent| matches!(event, RunEvent::Spent { .. });
    let ends =
        |event: &RunEvent| matches!(event, RunEvent::ItemDone { item, .. } if matches!(&**item, Item::ToolOutput(_)));
    let total: u64 =
        events.iter().map(|event| if let RunEvent::Spent { usage } = event { usage.input } else { 0 }).sum();
    assert_eq!(total, BURSTS as u64);
    assert!(events.iter().rposition(spent) < events.iter().position(ends));
}

#[tokio::test]
async fn no_tool_hands_over_more_than_its_budget() {
    let flood = |_| std::future::ready(Ok(vec![Part::text("a".repeat(5_000_000)), Part::text("[the end]")]));
    let fails = |_| std::future::ready(Err(ToolError::TellModel("b".repeat(5_000_000))));
    let frugal = Annotations { output_limit: Some(20), ..Annotations::READ_ONLY };
    let doers = vec![
        doer("usual", Annotations::READ_ONLY, flood),
        doer("frugal", frugal, flood),
        doer("fails", Annotations::READ_ONLY, fails),
    ];
    let (_, outputs) = Running::start(doers, vec!["usual", "frugal", "fails"]).await.end().await;
    let cut = |bytes: usize| format!("\n[… {bytes} bytes were cut here: the answer was longer than one may be …]\n");
    let (a, b) = ("a".repeat(1000), "b".repeat(1000));
    let expected = [
        format!("{a}{}{}[the end]", cut(4_998_009), "a".repeat(991)),
        format!("aaaaaaaaaa{}a[the end]", cut(4_999_989)),
        format!("{b}{}{b}", cut(4_998_000)),
    ];
    assert_eq!(outputs, expected);
}
