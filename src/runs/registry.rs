//! Starts runs and knows those in flight.

use super::admission::{Admission, Refusal};
use super::brief::Briefing;
use super::coming::{Coming, told};
use super::live::{LiveRun, LiveRuns};
use super::log::Listener;
use super::profile::Profile;
use super::scribe::Scribe;
use super::turns::{Busy, Place, Turns};
use crate::core::failure::Failure;
use crate::core::id::RunId;
use crate::core::ports::store::Store;
use crate::core::run::OnDisconnect;
use crate::dialect::responses::record::Record;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

/// Every run of the daemon. Cheap to share behind an `Arc`.
pub struct Runs {
    admission: Arc<Admission>,
    live: Arc<LiveRuns>,
    turns: Arc<Turns>,
    pub(super) store: Arc<dyn Store>,
    pub(super) workspaces: Arc<Path>,
    pub(super) slow_client_timeout: Duration,
    tracker: TaskTracker,
    /// No new runs.
    draining: CancellationToken,
    /// The grace is over: runs end now.
    pub(super) shutdown: CancellationToken,
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
    pub brief: Briefing,
    /// Keeps the answer for a client that may ask for it again.
    pub record: Option<Record>,
    /// What becomes of the run when nobody listens to it any more.
    pub on_disconnect: OnDisconnect,
}

/// Why a run could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    Refused(Refusal),
    Draining,
    Failed(Failure),
}

impl Runs {
    pub fn new(settings: RunsSettings, store: Arc<dyn Store>) -> Self {
        Self {
            admission: Admission::new(settings.max_runs),
            live: Arc::default(),
            turns: Arc::default(),
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

    /// Starts a run in a task of its own and returns its first listener.
    pub async fn start(self: &Arc<Self>, request: RunRequest) -> Result<Listener, StartError> {
        // Held until the task is there, so that a drain that begins meanwhile waits for it.
        let _coming = self.tracker.token();
        if self.draining.is_cancelled() {
            return Err(StartError::Draining);
        }
        let RunRequest { run, principal, max_runs, profile, brief, record, on_disconnect } = request;
        let permit = self.admission.enter(&principal, max_runs).map_err(StartError::Refused)?;
        let span = tracing::info_span!("run", %run, profile = profile.id, %principal);
        let presence = self.live.enter(LiveRun::new(run, principal, record));
        let scribe = Scribe::new(
            Arc::clone(&presence.live),
            Arc::clone(&self.store),
            on_disconnect,
            self.slow_client_timeout,
            self.shutdown.clone(),
        );
        let coming = Coming { runs: Arc::clone(self), presence, permit, profile, scribe, on_disconnect };
        let listener = coming.presence.live.log.listen();
        match brief {
            Briefing::Done(brief) => {
                let plan = coming.plan(*brief).await.map_err(StartError::Failed)?;
                self.tracker.spawn(told(coming.driver(plan).drive()).instrument(span));
            }
            Briefing::Awaited(brief) => {
                self.tracker.spawn(told(coming.once_briefed(brief)).instrument(span));
            }
        }
        Ok(listener)
    }

    /// A place in the line before a conversation: whoever changes it does so in its turn.
    pub fn line_up(&self, principal: &Arc<str>, conversation: &str) -> Result<Place, Busy> {
        self.turns.line_up(principal, conversation)
    }

    /// A run in flight of this principal.
    pub fn find(&self, principal: &str, run: RunId) -> Option<Arc<LiveRun>> {
        self.live.find(principal, run)
    }

    pub fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits until no new runs are taken.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
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
