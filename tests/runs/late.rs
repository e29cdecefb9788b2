//! Nothing begins after a cancel. Within the process, because the moment is one that no client can choose: a run stands
//! at an event that its slow client does not take, and the call comes right behind it.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use nuncio::core::event::{Cut, Outcome, RunEvent};
use nuncio::core::failure::{Failure, FailureKind};
use nuncio::core::item::{Item, Message, Part, Role};
use nuncio::core::ports::equipment::{Equipment, Equipped};
use nuncio::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolList, ToolSpec, Toolset, Who};
use nuncio::core::ports::upstream::{
    FinishReason, ModelRequest, ToolCallFragment, Upstream, UpstreamEvent, UpstreamStream,
};
use nuncio::core::run::{Agent, OnDisconnect, RunSpec};
use nuncio::dialect::Projection;
use nuncio::dialect::chat::chunks::ChunkStream;
use nuncio::dialect::chat::wire::AnswerHead;
use nuncio::dialect::responses::fold::EndTime;
use nuncio::runs::registry::RunsSettings;
use nuncio::runs::session::SessionKey;
use nuncio::runs::{Brief, Briefing, Profile, RunRequest, Runs};
use nuncio::store::memory::MemoryStore;
use serde_json::Value;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Events that a listener may leave waiting.
const AHEAD: usize = 64;

/// Says so many words and calls the tool.
struct Talker(usize);

impl Upstream for Talker {
    fn call(&self, _: ModelRequest) -> UpstreamStream {
        let call = ToolCallFragment { name: Some("act".into()), arguments: "{}".into(), ..ToolCallFragment::default() };
        let last = [UpstreamEvent::ToolCall(call), UpstreamEvent::Finish(FinishReason::ToolCalls)];
        let words = vec![UpstreamEvent::Text("word".into()); self.0];
        stream::iter([UpstreamEvent::Opened].into_iter().chain(words).chain(last).map(Ok)).boxed()
    }
}

/// Counts its calls.
struct Act {
    spec: ToolSpec,
    calls: Arc<AtomicUsize>,
}

impl Tool for Act {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        Annotations::WITH_EFFECTS
    }

    fn summary(&self, _: &Value) -> String {
        String::new()
    }

    fn call(&self, _: Value, _: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed()
    }
}

struct Only(Arc<Act>);

impl Equipment for Only {
    fn equip<'a>(&'a self, _: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        let equipped = Equipped { tools: Arc::new(Self(Arc::clone(&self.0))), told: Vec::new() };
        std::future::ready(Ok(equipped)).boxed()
    }
}

impl Toolset for Only {
    fn specs(&self) -> ToolList {
        [self.0.spec.clone()].into()
    }

    fn with_effects(&self) -> Arc<HashSet<String>> {
        Arc::new(HashSet::from(["act".to_owned()]))
    }

    fn get(&self, _: &str) -> Option<Arc<dyn Tool>> {
        Some(Arc::clone(&self.0) as Arc<dyn Tool>)
    }

    fn check(&self, _: &str, _: &Value) -> Result<(), String> {
        Ok(())
    }
}

/// How often the tool is called in a run of so many words that nobody listens to, and what is read of its end after all.
async fn calls_after(words: usize) -> (usize, Option<RunEvent>) {
    let folder = tempfile::tempdir().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let spec = ToolSpec { name: "act".into(), description: None, parameters: None, ..ToolSpec::default() };
    let agent = Agent::default();
    let profile = Profile {
        description: None,
        id: "nuncio".into(),
        housekeeping: Profile::housekeeping_of(&agent),
        agent: Arc::new(agent),
        upstream: Arc::new(Talker(words)),
        equipment: Arc::new(Only(Arc::new(Act { spec, calls: Arc::clone(&calls) }))),
        tool_activity: Default::default(),
        on_disconnect: OnDisconnect::Cancel,
        inherit_instructions: false,
        workspace: None,
    };
    let settings =
        RunsSettings { max_runs: 1, workspaces: folder.path().into(), slow_client_timeout: Duration::from_millis(200) };
    let runs = Arc::new(Runs::new(settings, Arc::new(MemoryStore::new(NonZeroUsize::MIN))));
    let spec = RunSpec { input: vec![Arc::new(Item::Message(Message::of(Role::User, "Go")))], ..RunSpec::default() };
    let request = RunRequest {
        run: Runs::new_id(),
        principal: "ann".into(),
        max_runs: None,
        profile: Arc::new(profile),
        brief: Briefing::Done(Box::new(Brief {
            spec,
            session: SessionKey::ByHistory,
            user: None,
            housekeeping: false,
            off_record: false,
            previous: None,
            place: None,
        })),
        record: None,
        ended_at: EndTime::default(),
        on_disconnect: OnDisconnect::Cancel,
        carry: String::new(),
        key: None,
        body: None,
    };
    let mut listener = runs.start(request).await.unwrap();
    // A run that got as far as its tool goes on until it is ended.
    runs.drain(Duration::from_secs(2), std::future::pending()).await;
    let mut last = None;
    while let Some(told) = listener.next().await {
        last = Some(told.event);
    }
    (calls.load(Ordering::SeqCst), last)
}

#[tokio::test]
async fn no_tool_starts_once_the_listener_is_too_slow() {
    // Events besides the words, up to the call: three of the run, two of the message, and four of the call.
    let others = 9;
    for missing in 0..=3 {
        let (calls, last) = calls_after(AHEAD - others + missing).await;
        assert_eq!(calls, usize::from(missing == 0), "{missing} events before the call are not taken");
        // Only a tool that was launched has the run wait for it, until the daemon ends.
        match last {
            Some(RunEvent::Finished { outcome: Outcome::Failed { failure } }) if missing == 0 => {
                assert_eq!(failure.kind, FailureKind::ShuttingDown);
            }
            last => {
                assert_eq!(
                    last,
                    Some(RunEvent::Finished { outcome: Outcome::Incomplete { reason: Cut::Disconnected } })
                );
            }
        }
    }
}

/// An end without a word would pass for a whole answer.
#[test]
fn a_slow_client_that_comes_back_reads_what_happened() {
    let head = AnswerHead { id: "a".into(), created: 0, model: "m".into() };
    let mut chunks = ChunkStream::new(&head, false, Default::default());
    let frames = chunks.on(&RunEvent::Finished { outcome: Outcome::Incomplete { reason: Cut::Disconnected } });
    let error = r#"{"message":"The run was cancelled, because its answer was not read for too long.","type":"invalid_request_error","param":null,"code":"cancelled"}"#;
    assert_eq!(frames, [format!("data: {{\"error\":{error}}}\n\n")]);
}
