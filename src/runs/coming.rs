//! A run on its way from the door to its driver.

use super::admission::Permit;
use super::brief::Brief;
use super::driver::Driver;
use super::format::AnswerCheck;
use super::live::Presence;
use super::open_turns::OpenTurns;
use super::profile::Profile;
use super::registry::{Runs, StartError};
use super::scribe::{Book, Scribe};
use super::session::{SessionFinder, SessionKey};
use super::toolbox::{Bounds, Toolbox};
use super::turns::Place;
use crate::core::event::Outcome;
use crate::core::failure::{Failure, FailureKind};
use crate::core::item::Item;
use crate::core::ports::delegate;
use crate::core::ports::equipment::Equipped;
use crate::core::ports::journals::{Begun, IdempotencyKey, NewRun};
use crate::core::ports::store::Turn;
use crate::core::ports::tool::{Toolset, Who};
use crate::core::ports::upstream::ToolChoice;
use crate::core::run::{Cancel, Input, Machine, OnDisconnect, RunSpec};
use crate::core::transcript::{restore_turns, turn_keys};
use crate::dialect::error::ApiError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A run that has been let in and is not under way yet.
pub struct Coming {
    pub runs: Arc<Runs>,
    pub presence: Presence,
    /// A run that is gone on with was let in by the process before.
    pub permit: Option<Permit>,
    pub profile: Arc<Profile>,
    pub scribe: Scribe,
    pub on_disconnect: OnDisconnect,
}

/// What is carried out, as soon as nothing can go wrong with it any more.
pub struct Plan {
    machine: Machine,
    tools: Arc<dyn Toolset>,
    who: Arc<Who>,
    answer: AnswerCheck,
    history: Vec<Arc<Item>>,
    session: SessionKey,
    off_record: bool,
    previous: Option<String>,
    place: Option<Place>,
}

/// Why there will be no brief.
enum Unbriefed {
    Over(Outcome),
    /// Another process will go on with the run.
    Left,
}

impl Coming {
    /// Waits for the brief and carries it out.
    /// `first` is how the run begins, or goes on.
    pub async fn once_briefed(
        self,
        brief: BoxFuture<'static, Result<Brief, ApiError>>,
        first: Input,
    ) -> Option<Outcome> {
        let failed = |failure: Failure| Unbriefed::Over(Outcome::Failed { failure });
        let planning = async {
            let brief = brief.await.map_err(|error| failed(error.into()))?;
            self.plan(brief).await.map_err(failed)
        };
        match self.unless_over(planning).await {
            Ok(plan) => self.driver(plan).drive(first).await,
            Err(Unbriefed::Over(outcome)) => Some(self.never_begun(outcome).await),
            Err(Unbriefed::Left) => {
                self.scribe.leave().await;
                None
            }
        }
    }

    /// Has the run written down from its beginning, if it keeps a response.
    pub async fn keep(&mut self, carry: String, key: Option<IdempotencyKey>) -> Result<(), StartError> {
        let live = &self.presence.live;
        let Some(record) = &live.record else { return Ok(()) };
        let (run, principal, response) = (live.run, Arc::clone(&live.principal), record.opening());
        let new = NewRun { run, principal, response, request: carry, key };
        match self.runs.store.begin(new, self.runs.leases.lease()).await.map_err(StartError::Store)? {
            Begun::Begun(fence) => self.scribe.keep(Book::new(Arc::clone(&self.runs.store), fence, 0)),
            Begun::Taken(run) => return Err(StartError::Taken(run)),
        }
        Ok(())
    }

    /// Waits for the plan, which may take as long as a server of tools that the request names. Who is ended before that
    /// has never begun.
    async fn unless_over(&self, planning: impl Future<Output = Result<Plan, Unbriefed>>) -> Result<Plan, Unbriefed> {
        let live = &self.presence.live;
        let may_leave = self.on_disconnect == OnDisconnect::Detach && self.scribe.can_be_left();
        let over = |cancel: Cancel| Err(Unbriefed::Over(cancel.outcome()));
        tokio::select! {
            biased;
            () = self.runs.draining.cancelled(), if may_leave => Err(Unbriefed::Left),
            () = self.runs.shutdown.cancelled() => over(Cancel::Shutdown),
            () = live.asked.cancelled() => over(Cancel::Asked),
            () = live.log.abandoned(self.on_disconnect) => over(Cancel::Disconnected),
            planned = planning => planned,
        }
    }

    async fn never_begun(mut self, outcome: Outcome) -> Outcome {
        drop(self.permit);
        self.scribe.tell_end(outcome.clone(), None, None).await;
        outcome
    }

    /// Fails where the brief cannot be carried out.
    pub async fn plan(&self, brief: Brief) -> Result<Plan, Failure> {
        let Brief { mut spec, session, user, housekeeping, off_record, previous, place } = brief;
        restore(&self.runs.open_turns, &self.presence.live.principal, &mut spec).await?;
        let who = Arc::new(self.profile.who(&self.presence.live.principal, user));
        let (mut agent, Equipped { tools, .. }) = self.profile.equip_with(&who, &spec.servers).await?;
        if housekeeping {
            agent = Arc::clone(&self.profile.housekeeping);
            (spec.tools, spec.tool_choice, spec.allowed_tools) = (Some(Vec::new()), ToolChoice::Auto, None);
        }
        if !self.presence.live.descent.may_delegate() {
            agent = Arc::new(agent.without(delegate::TOOL));
        }
        let history = spec.input.clone();
        let machine = Machine::new(self.presence.live.run, agent, spec)?;
        let machine = machine.knowing(self.profile.upstream.window());
        let machine = machine.telling_whole_calls(self.on_disconnect == OnDisconnect::Detach);
        let answer = AnswerCheck::of_request(machine.format()).await?;
        Ok(Plan { machine, tools, who, answer, history, session, off_record, previous, place })
    }

    pub fn driver(self, plan: Plan) -> Box<Driver> {
        let wall_time = self.profile.agent.limits.wall_time;
        self.driver_until(plan, Instant::now().checked_add(wall_time).unwrap_or_else(far_away))
    }

    /// The same, with a deadline of its own.
    pub fn driver_until(self, plan: Plan, deadline: Instant) -> Box<Driver> {
        let Self { runs, presence, permit, profile, scribe, on_disconnect } = self;
        let Plan { machine, tools, who, answer, history, session, off_record, previous, place } = plan;
        let finder = SessionFinder {
            store: Arc::clone(&runs.store),
            principal: Arc::clone(&presence.live.principal),
            user: who.user.clone(),
            key: session,
            root: Arc::clone(&runs.workspaces),
            fixed: profile.workspace.clone(),
            workers: runs.workers,
        };
        let limits = &profile.agent.limits;
        let bounds = Bounds { tool_time: limits.tool_time, tool_output: limits.tool_output, deadline };
        Box::new(Driver {
            machine,
            upstream: Arc::clone(&profile.upstream),
            toolbox: Toolbox::new(tools, who, presence.live.run, bounds, finder),
            answer,
            open_turns: Arc::clone(&runs.open_turns),
            off_record,
            presence,
            history,
            scribe,
            on_disconnect,
            previous,
            permit,
            place,
            draining: runs.draining.clone(),
            shutdown: runs.shutdown.child_token(),
            deadline,
        })
    }
}

/// Tells the log how a run ended.
pub fn told(run: impl Future<Output = Option<Outcome>>) -> impl Future<Output = Option<Outcome>> {
    let mut ending = LoggedEnd { begun: Instant::now(), told: false };
    // Not awaited in an async block, which would have room for the run twice.
    run.inspect(move |outcome| ending.tell(&outcome.as_ref().map_or("left to the next process".to_owned(), word)))
}

/// The end of a run, which the log is told also where it is dropped: a task is, when the call that has handed it on ends.
struct LoggedEnd {
    begun: Instant,
    told: bool,
}

impl LoggedEnd {
    fn tell(&mut self, outcome: &str) {
        self.told = true;
        tracing::info!(outcome, ms = self.begun.elapsed().as_millis() as u64, "run ended");
    }
}

impl Drop for LoggedEnd {
    fn drop(&mut self) {
        if !self.told {
            self.tell("dropped");
        }
    }
}

/// Gives the turns of the history back what the server did in them.
async fn restore(open_turns: &OpenTurns, principal: &Arc<str>, spec: &mut RunSpec) -> Result<(), Failure> {
    let mut known: HashMap<String, Turn> = HashMap::new();
    for key in turn_keys(&spec.input) {
        match open_turns.find(principal, &key).await {
            Ok(turn) => known.extend(turn.map(|turn| (key, turn))),
            Err(error) => {
                tracing::error!(%error, "a turn could not be loaded");
                let text = "The conversation's stored part could not be read.";
                return Err(Failure::new(FailureKind::Internal, text));
            }
        }
    }
    if !known.is_empty() {
        spec.input = restore_turns(std::mem::take(&mut spec.input), |key| known.get(key).cloned());
    }
    Ok(())
}

/// An outcome for the log, which must hold nothing that a client or an upstream said.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed { failure } => format!("failed: {:?}", failure.kind),
        Outcome::Incomplete { reason } => format!("incomplete: {reason:?}"),
        Outcome::Completed => "completed".to_owned(),
        Outcome::ClientTools => "client tools".to_owned(),
        Outcome::Cancelled => "cancelled".to_owned(),
    }
}

/// For a limit too long to add to a clock.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(365 * 24 * 3600) // invariant: a year fits
}
