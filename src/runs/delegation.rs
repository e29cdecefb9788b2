//! Tasks that runs hand on: each is done by a run of its own, inside the call that has handed it on. It runs under the
//! permit of the run above it, and when the call is dropped nothing is left of it.

use super::brief::Brief;
use super::coming::told;
use super::live::{Known, LiveRun};
use super::log::Listener;
use super::profile::Profile;
use super::registry::Runs;
use super::session::{Session, SessionKey};
use crate::core::event::{Cut, Delta, Outcome, RunEvent};
use crate::core::item::{Item, Message, Role, text_of};
use crate::core::ports::delegate::{Delegation, Task};
use crate::core::ports::tool::{Activity, ToolContext, ToolError};
use crate::core::run::{Input, Limits, OnDisconnect, RunSpec};
use futures_util::future::{BoxFuture, join};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

/// Left of a call's time for its result to reach the run above, before that one's own time may be over.
const MARGIN: Duration = Duration::from_secs(2);

/// Hands tasks on to the profiles that the runs know. Weak, as the tools that hold this belong to those profiles.
pub struct Delegations(Weak<Runs>);

impl Delegations {
    pub fn new(runs: &Arc<Runs>) -> Self {
        Self(Arc::downgrade(runs))
    }
}

impl Delegation for Delegations {
    fn delegate(&self, task: Task, context: ToolContext) -> BoxFuture<'static, Result<String, ToolError>> {
        let runs = self.0.upgrade();
        Box::pin(async move {
            let runs = runs.ok_or_else(|| ToolError::Fatal("the daemon is gone".to_owned()))?;
            runs.delegate(task, context).await
        })
    }
}

impl Runs {
    async fn delegate(self: Arc<Self>, task: Task, context: ToolContext) -> Result<String, ToolError> {
        let fatal = |problem: &str| ToolError::Fatal(format!("{}: {problem}", context.run));
        let profile =
            self.profile(&task.profile).ok_or_else(|| fatal("it delegates to a profile that is not there"))?;
        let parent = self.find(&context.who.principal, context.run).ok_or_else(|| fatal("it delegates and is over"))?;
        let time = context.time_limit.saturating_sub(MARGIN.min(context.time_limit / 8));
        let end = Instant::now().checked_add(time).ok_or_else(|| fatal("its time has no end"))?;
        let descent = parent.descent.below(profile.agent.limits.delegation).map_err(ToolError::TellModel)?;
        let _place = parent.descent.place().await;

        let (id, run) = (profile.id.clone(), Self::new_id());
        let principal = Arc::clone(&context.who.principal);
        let span = tracing::info_span!("run", %run, profile = id, %principal, parent = %context.run);
        let live = LiveRun::new(run, principal, id.clone(), Known::default(), OnDisconnect::Cancel, descent);
        let coming = self.coming(Arc::clone(&live), None, Arc::clone(&profile));
        let listener = live.log.listen();
        let brief = brief(task, &context);
        let plan = coming.plan(brief).await.map_err(|failure| not_begun(&id, &failure.to_string()))?;
        let driver = coming.driver_until(plan, deadline(&profile, end));
        let work = told(driver.drive(Input::Submitted)).instrument(span);
        let done = timeout_at(end, join(work, attend(listener, &id, &context.activity))).await;
        let said = live.log.read(|journal| last_words(&journal.items()));
        answer(&id, done.ok().and_then(|(outcome, ())| outcome), said)
    }
}

fn brief(task: Task, context: &ToolContext) -> Brief {
    let question = Item::Message(Message::of(Role::User, task.text));
    Brief {
        spec: RunSpec { input: vec![Arc::new(question)], ..RunSpec::default() },
        session: SessionKey::Shared(Session::of(&context.session, &context.workspace)),
        user: context.who.user.clone(),
        housekeeping: false,
        off_record: true,
        previous: None,
        place: None,
    }
}

/// When the child is to come to its end by itself: early enough for its last words to be heard.
fn deadline(profile: &Profile, end: Instant) -> Instant {
    let left = end.saturating_duration_since(Instant::now());
    let own_end = end.checked_sub(Limits::LAST_CALL.min(left / 4)).unwrap_or(end);
    Instant::now().checked_add(profile.agent.limits.wall_time).map_or(own_end, |wall| wall.min(own_end))
}

/// Tells what the child does, and counts what it spends, until it is over.
async fn attend(mut listener: Listener, profile: &str, activity: &Activity) {
    // Of the calls that are not over, so never more than one step of a run makes.
    let mut names: HashMap<String, String> = HashMap::new();
    let mut calls: HashMap<u32, String> = HashMap::new();
    while let Some(told) = listener.next().await {
        match told.event {
            RunEvent::ItemStarted { index, item } => {
                if let Item::ToolOutput(output) = &*item {
                    calls.insert(index, output.call_id.clone());
                }
            }
            RunEvent::Delta { index, delta: Delta::Progress(doing) } => {
                let name = calls.get(&index).and_then(|call| names.get(call)).map_or("", String::as_str);
                activity.tell(format!("{profile}: {name} {doing}"));
            }
            RunEvent::ItemDone { index, item } => match &*item {
                Item::ToolCall(call) => drop(names.insert(call.call_id.clone(), call.name.clone())),
                Item::ToolOutput(output) => {
                    calls.remove(&index);
                    names.remove(&output.call_id);
                }
                _ => {}
            },
            RunEvent::StepDone { usage } | RunEvent::Spent { usage } => activity.spend(usage),
            _ => {}
        }
    }
}

/// What was said last, by a model that may have gone on to call a tool.
fn last_words(items: &[Arc<Item>]) -> String {
    let mut words = Vec::new();
    for item in items.iter().rev() {
        match &**item {
            Item::Message(message) => words.push(text_of(&message.content)),
            Item::ToolCall(_) | Item::ToolOutput(_) if words.iter().any(|text| !text.trim().is_empty()) => break,
            _ => {}
        }
    }
    words.reverse();
    words.join("\n\n").trim().to_owned()
}

fn not_begun(profile: &str, why: &str) -> ToolError {
    ToolError::TellModel(format!("{profile} could not begin: {why}"))
}

/// `None` for a child whose time was over before it had come to an end.
fn answer(profile: &str, outcome: Option<Outcome>, said: String) -> Result<String, ToolError> {
    let why = match outcome {
        Some(Outcome::Completed) if said.is_empty() => return Ok(format!("[{profile} is done and has said nothing]")),
        Some(Outcome::Completed) => return Ok(said),
        Some(Outcome::Failed { failure }) => format!("failed: {}.", failure.to_string().trim_end_matches('.')),
        Some(Outcome::Cancelled) => "was stopped.".to_owned(),
        Some(Outcome::Incomplete { reason: Cut::Steps }) => "has used up all its steps.".to_owned(),
        Some(Outcome::Incomplete { reason: Cut::OutputTokens }) => "has used up its tokens.".to_owned(),
        Some(Outcome::Incomplete { reason: Cut::ContentFilter }) => "was cut off by a content filter.".to_owned(),
        Some(Outcome::Incomplete { reason: Cut::WallTime }) | None => "has used up its time.".to_owned(),
        Some(Outcome::Incomplete { reason: Cut::Disconnected } | Outcome::ClientTools) => "was cut off.".to_owned(),
    };
    let said = match said.is_empty() {
        true => "It had said nothing yet.".to_owned(),
        false => format!("The last it said:\n\n{said}"),
    };
    Err(ToolError::TellModel(format!("{profile} {why} What it did until then stays done. {said}")))
}
