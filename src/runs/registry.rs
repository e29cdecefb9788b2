//! Starts runs and knows those in flight.

use super::admission::{Admission, Permit, Refusal};
use super::driver::Driver;
use super::format::AnswerCheck;
use super::profile::Profile;
use super::session::{SessionFinder, SessionKey};
use super::toolbox::Toolbox;
use crate::core::event::{Outcome, RunEvent};
use crate::core::failure::{Failure, FailureKind};
use crate::core::id::RunId;
use crate::core::ports::store::{Store, Turn};
use crate::core::ports::upstream::ToolChoice;
use crate::core::run::{Machine, RunSpec};
use crate::core::transcript::{restore_turns, turn_keys};
use crate::dialect::responses::record::Record;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

/// Every run of the daemon. Cheap to share behind an `Arc`.
pub struct Runs {
    admission: Arc<Admission>,
    store: Arc<dyn Store>,
    workspaces: Arc<Path>,
    slow_client_timeout: Duration,
    tracker: TaskTracker,
    /// No new runs.
    draining: CancellationToken,
    /// The grace is over: runs end now.
    shutdown: CancellationToken,
}

/// What `Runs` is made of.
pub struct RunsSettings {
    pub max_runs: usize,
    pub workspaces: Arc<Path>,
    pub slow_client_timeout: Duration,
}

/// One run to start.
pub struct RunRequest {
    pub run: RunId,
    pub principal: Arc<str>,
    /// The principal's own limit of runs in flight.
    pub max_runs: Option<usize>,
    pub profile: Arc<Profile>,
    pub spec: RunSpec,
    pub session: SessionKey,
    /// A frontend's call on the side (a title, tags): no tools, no instructions, no session.
    pub housekeeping: bool,
    /// Keeps the answer for a client that may ask for it again.
    pub record: Option<Record>,
}

/// A run's listener. Dropping it cancels the run.
pub struct Subscription {
    pub run: RunId,
    pub events: mpsc::Receiver<RunEvent>,
}

/// Why a run could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    Refused(Refusal),
    Draining,
    Failed(Failure),
}

/// Events that may wait for the listener; beyond that the run waits.
const EVENTS_AHEAD: usize = 64;

impl Runs {
    pub fn new(settings: RunsSettings, store: Arc<dyn Store>) -> Self {
        Self {
            admission: Admission::new(settings.max_runs),
            store,
            workspaces: settings.workspaces,
            slow_client_timeout: settings.slow_client_timeout,
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// Names a run that is about to be started.
    pub fn new_id() -> RunId {
        RunId::new(Uuid::now_v7())
    }

    /// Starts a run in a task of its own and returns its listener.
    pub async fn start(&self, request: RunRequest) -> Result<Subscription, StartError> {
        // Held until the task is there, so that a drain that begins meanwhile waits for it.
        let _coming = self.tracker.token();
        if self.draining.is_cancelled() {
            return Err(StartError::Draining);
        }
        let permit = self.admission.enter(&request.principal, request.max_runs).map_err(StartError::Refused)?;
        let run = request.run;
        let (sender, events) = mpsc::channel(EVENTS_AHEAD + 1);
        let span = tracing::info_span!("run", %run, profile = request.profile.id, principal = %request.principal);
        let driver = self.driver(run, request, permit, sender).await?;
        self.tracker.spawn(
            async move {
                let begun = Instant::now();
                let outcome = driver.drive().await;
                tracing::info!(outcome = word(&outcome), ms = begun.elapsed().as_millis() as u64, "run ended");
            }
            .instrument(span),
        );
        Ok(Subscription { run, events })
    }

    async fn driver(
        &self,
        run: RunId,
        request: RunRequest,
        permit: Permit,
        events: mpsc::Sender<RunEvent>,
    ) -> Result<Driver, StartError> {
        let RunRequest { principal, profile, mut spec, session, housekeeping, record, .. } = request;
        self.restore(&principal, &mut spec).await?;
        let agent = if housekeeping { &profile.housekeeping } else { &profile.agent };
        if housekeeping {
            (spec.tools, spec.tool_choice, spec.allowed_tools) = (Some(Vec::new()), ToolChoice::Auto, None);
        }
        let (agent, history) = (Arc::clone(agent), spec.input.clone());
        let deadline = Instant::now().checked_add(agent.limits.wall_time).unwrap_or_else(far_away);
        let machine = Machine::new(run, agent, spec).map_err(StartError::Failed)?;
        let answer = AnswerCheck::of_request(machine.format()).await.map_err(StartError::Failed)?;
        let finder = SessionFinder {
            store: Arc::clone(&self.store),
            principal: Arc::clone(&principal),
            key: session,
            root: Arc::clone(&self.workspaces),
            fixed: profile.workspace.clone(),
        };
        Ok(Driver {
            machine,
            upstream: Arc::clone(&profile.upstream),
            toolbox: Toolbox::new(profile, run, finder),
            answer,
            store: Arc::clone(&self.store),
            principal,
            history,
            record,
            last_event: events.clone().reserve_owned().await.ok(),
            events,
            permit: Some(permit),
            slow_client_timeout: self.slow_client_timeout,
            shutdown: self.shutdown.child_token(),
            deadline,
        })
    }

    /// Gives the turns of the history back what the server did in them.
    async fn restore(&self, principal: &str, spec: &mut RunSpec) -> Result<(), StartError> {
        let mut known: HashMap<String, Turn> = HashMap::new();
        for key in turn_keys(&spec.input) {
            match self.store.turn(principal, &key).await {
                Ok(turn) => known.extend(turn.map(|turn| (key, turn))),
                Err(error) => {
                    tracing::error!(%error, "a turn could not be loaded");
                    let failure =
                        Failure::new(FailureKind::Internal, "The conversation's stored part could not be read.");
                    return Err(StartError::Failed(failure));
                }
            }
        }
        if !known.is_empty() {
            spec.input = restore_turns(std::mem::take(&mut spec.input), |key| known.get(key).cloned());
        }
        Ok(())
    }

    pub fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Refuses new runs, gives those in flight `grace` to end, or until `hurry`, then ends them.
    pub async fn drain(&self, grace: Duration, hurry: impl Future<Output = ()>) {
        self.draining.cancel();
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => return,
            () = tokio::time::sleep(grace) => {}
            () = hurry => {}
        }
        self.shutdown.cancel();
        // Ending a run means to tell its client and to kill its processes, which takes moments, not minutes.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.tracker.wait()).await;
    }
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
