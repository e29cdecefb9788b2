//! Starts runs and knows those in flight.

use super::admission::{Admission, Permit, Refusal};
use super::brief::{Brief, Briefing};
use super::coming::{Coming, told};
use super::descent::Descent;
use super::keys::Keys;
use super::leases::Leases;
use super::live::{Known, LiveRun, LiveRuns};
use super::log::Listener;
use super::open_turns::OpenTurns;
use super::profile::{Profile, Profiles};
use super::scribe::{Pace, Scribe};
use super::turns::{Busy, Place, Turns};
use crate::core::failure::Failure;
use crate::core::id::RunId;
use crate::core::ports::journals::{Claimed, IdempotencyKey, KeyedRun};
use crate::core::ports::store::{Store, StoreError};
use crate::core::run::{Input, OnDisconnect};
use crate::dialect::error::ApiError;
use crate::dialect::record::Record;
use crate::dialect::responses::fold::EndTime;
use futures_util::future::BoxFuture;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

/// Every run of the daemon. Cheap to share behind an `Arc`.
pub struct Runs {
    admission: Arc<Admission>,
    live: Arc<LiveRuns>,
    turns: Turns,
    keys: Keys,
    /// What runs may delegate to. Told once all profiles are made, whose tools know the runs.
    profiles: OnceLock<Profiles>,
    pub(super) store: Arc<dyn Store>,
    pub(super) open_turns: Arc<OpenTurns>,
    pub(super) workspaces: Arc<Path>,
    /// The user and group that commands run as, if these are not the daemon's.
    pub(super) workers: Option<(u32, u32)>,
    pub(super) slow_client_timeout: Duration,
    pub leases: Arc<Leases>,
    pub(super) tracker: TaskTracker,
    /// No new runs.
    pub(super) draining: CancellationToken,
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
    /// When the run will have ended, for all who tell of it.
    pub ended_at: EndTime,
    /// What becomes of the run when nobody listens to it any more.
    pub on_disconnect: OnDisconnect,
    /// What another process would need to go on with the run, as JSON; empty if none is to.
    pub carry: String,
    /// The client's word for which requests are the same.
    pub key: Option<IdempotencyKey>,
    /// Hash of what was asked, where the client may ask again.
    pub body: Option<[u8; 32]>,
}

/// A run that another process has left, and what it takes to go on with it.
pub struct LeftRun {
    pub claimed: Claimed,
    pub profile: Arc<Profile>,
    pub record: Record,
    pub brief: BoxFuture<'static, Result<Brief, ApiError>>,
}

/// Why a run could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    Refused(Refusal),
    Draining,
    Failed(Failure),
    Store(StoreError),
    /// The key of the request stands for this run.
    Taken(KeyedRun),
}

impl Runs {
    pub fn new(settings: RunsSettings, store: Arc<dyn Store>) -> Self {
        let tracker = TaskTracker::new();
        let leases = Arc::new(Leases::new(Arc::clone(&store), tracker.clone()));
        Self {
            admission: Admission::new(settings.max_runs),
            live: Arc::default(),
            turns: Turns::new(Arc::clone(&leases)),
            keys: Keys::default(),
            profiles: OnceLock::new(),
            open_turns: Arc::new(OpenTurns::new(Arc::clone(&store))),
            store,
            workspaces: settings.workspaces,
            workers: None,
            slow_client_timeout: settings.slow_client_timeout,
            leases,
            tracker,
            draining: CancellationToken::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// The same with workspaces that belong to these, the user and group that commands run as.
    #[must_use]
    pub fn for_workers(self, workers: Option<(u32, u32)>) -> Self {
        Self { workers, ..self }
    }

    /// Tells which profiles there are; the first word counts.
    pub fn know(&self, profiles: Profiles) {
        let _ = self.profiles.set(profiles);
    }

    pub(super) fn profile(&self, id: &str) -> Option<Arc<Profile>> {
        self.profiles.get()?.get(id).cloned()
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
        let permit = self.admission.enter(&request.principal, request.max_runs).map_err(StartError::Refused)?;
        let RunRequest { run, principal, profile, brief, record, ended_at, on_disconnect, carry, key, body, .. } =
            request;
        let span = tracing::info_span!("run", %run, profile = profile.id, %principal);
        let (id, descent) = (profile.id.clone(), Descent::first(profile.agent.limits.delegation));
        let live = LiveRun::new(run, principal, id, Known { record, ended_at, body }, on_disconnect, descent);
        if let (None, Some(key)) = (&live.record, &key) {
            self.bind(&live, key.clone())?;
        }
        let mut coming = self.coming(live, Some(permit), profile);
        match brief {
            Briefing::Done(brief) => {
                let plan = coming.plan(*brief).await.map_err(StartError::Failed)?;
                coming.keep(carry, key).await?;
                let listener = coming.presence.live.log.listen();
                self.tracker.spawn(told(coming.driver(plan).drive(Input::Submitted)).instrument(span));
                Ok(listener)
            }
            Briefing::Awaited(brief) => {
                coming.keep(carry, key).await?;
                let listener = coming.presence.live.log.listen();
                self.tracker.spawn(told(coming.once_briefed(brief, Input::Submitted)).instrument(span));
                Ok(listener)
            }
        }
    }

    pub(super) fn coming(
        self: &Arc<Self>,
        live: Arc<LiveRun>,
        permit: Option<Permit>,
        profile: Arc<Profile>,
    ) -> Coming {
        let on_disconnect = live.on_disconnect;
        let presence = self.live.enter(live);
        let (slow_client_timeout, shutdown) = (self.slow_client_timeout, self.shutdown.clone());
        let pace = Pace { on_disconnect, slow_client_timeout, shutdown };
        let scribe = Scribe::new(Arc::clone(&presence.live), pace);
        Coming { runs: Arc::clone(self), presence, permit, profile, scribe, on_disconnect }
    }

    /// The run in flight that a client comes back to that asks for the same again.
    pub fn find_same(&self, principal: &str, body: &[u8; 32]) -> Option<Arc<LiveRun>> {
        self.live.find_same(principal, body)
    }

    /// The run that is not stored and has this key.
    pub fn keyed(&self, principal: &str, key: &str) -> Option<(KeyedRun, Arc<LiveRun>)> {
        self.keys.find(principal, key)
    }

    /// Gives a run that is not stored its key.
    fn bind(&self, live: &Arc<LiveRun>, key: IdempotencyKey) -> Result<(), StartError> {
        let IdempotencyKey { key, body, .. } = key;
        let keyed = KeyedRun { run: live.run, id: String::new(), body };
        self.keys.bind(key, keyed, live).map_err(StartError::Taken)
    }

    /// A place in the line before a conversation: whoever changes it does so in its turn.
    pub fn line_up(&self, principal: &Arc<str>, conversation: &str) -> Result<Place, Busy> {
        self.turns.line_up(principal, conversation)
    }

    /// A run in flight of this principal.
    pub fn find(&self, principal: &str, run: RunId) -> Option<Arc<LiveRun>> {
        self.live.find(principal, run)
    }

    /// The runs in flight of this principal that no store knows.
    pub fn unstored(&self, principal: &str) -> Vec<Arc<LiveRun>> {
        self.live.unstored(principal)
    }

    /// How many may be in flight.
    pub fn max_runs(&self) -> usize {
        self.admission.max_runs()
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
