//! Runs in flight, as others see them: to listen to, to look at, to cancel.

use super::descent::Descent;
use super::log::RunLog;
use crate::core::id::RunId;
use crate::core::run::OnDisconnect;
use crate::dialect::record::Record;
use crate::dialect::responses::fold::EndTime;
use crate::dialect::responses::resource::Resource;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// A run in flight. It may end at any time; whoever holds this can still read what it has told.
pub struct LiveRun {
    pub run: RunId,
    pub principal: Arc<str>,
    /// The profile's id.
    pub model: String,
    pub log: Arc<RunLog>,
    /// Of a response that is stored at its end.
    pub record: Option<Record>,
    /// The same for everybody who is told of a run that is not stored.
    pub ended_at: EndTime,
    pub on_disconnect: OnDisconnect,
    /// Hash of what was asked, for a client that asks again.
    pub body: Option<[u8; 32]>,
    /// What it may hand on.
    pub(super) descent: Descent,
    /// Somebody has asked for its end.
    pub(super) asked: CancellationToken,
    ended: CancellationToken,
}

/// What a client that asks for a run again finds it by, and what it is told then.
#[derive(Default)]
pub(super) struct Known {
    pub record: Option<Record>,
    pub ended_at: EndTime,
    pub body: Option<[u8; 32]>,
}

impl Known {
    /// Of a run that is stored.
    pub fn of(record: Record) -> Self {
        Self { record: Some(record), ..Self::default() }
    }
}

impl LiveRun {
    pub(super) fn new(
        run: RunId,
        principal: Arc<str>,
        model: String,
        known: Known,
        on_disconnect: OnDisconnect,
        descent: Descent,
    ) -> Arc<Self> {
        let (log, asked, ended) = Default::default();
        let Known { record, ended_at, body } = known;
        Arc::new(Self { run, principal, model, log, record, ended_at, on_disconnect, body, descent, asked, ended })
    }

    /// It would go on without its client, or waits for it.
    fn may_be_come_back_to(&self) -> bool {
        match self.on_disconnect {
            OnDisconnect::Cancel => false,
            OnDisconnect::Detach => true,
            OnDisconnect::Grace(_) => self.log.is_deserted(),
        }
    }

    /// Ends the run, down to the last process of its tools, and waits until that is done and stored.
    pub async fn cancel(&self) {
        self.asked.cancel();
        self.ended.cancelled().await;
    }

    /// All was told, and cannot be stored for now: whoever waits for the end must not wait for the store.
    pub(super) fn has_ended(&self) {
        self.ended.cancel();
    }

    /// The response as it stands; `None` for a run that keeps none.
    pub fn resource(&self) -> Option<Resource> {
        let record = self.record.as_ref()?.response()?;
        Some(self.log.read(|journal| record.resource(journal.events())))
    }
}

/// The runs in flight by id: as many as are admitted.
#[derive(Default)]
pub struct LiveRuns(Mutex<HashMap<RunId, Arc<LiveRun>>>);

impl LiveRuns {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Arc<LiveRun>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of this principal; another's is as good as absent.
    pub fn find(&self, principal: &str, run: RunId) -> Option<Arc<LiveRun>> {
        self.lock().get(&run).filter(|live| *live.principal == *principal).cloned()
    }

    /// The runs of this principal that are not stored.
    pub fn unstored(&self, principal: &str) -> Vec<Arc<LiveRun>> {
        let runs = self.lock();
        runs.values().filter(|live| *live.principal == *principal && live.record.is_none()).cloned().collect()
    }

    /// The newest run of this principal that was asked for with the same body and may be come back to.
    pub fn find_same(&self, principal: &str, body: &[u8; 32]) -> Option<Arc<LiveRun>> {
        let runs = self.lock();
        let same = runs.values().filter(|live| *live.principal == *principal && live.body.as_ref() == Some(body));
        same.filter(|live| live.may_be_come_back_to()).max_by_key(|live| live.run).cloned()
    }

    pub fn enter(self: &Arc<Self>, live: Arc<LiveRun>) -> Presence {
        self.lock().insert(live.run, Arc::clone(&live));
        Presence { runs: Arc::clone(self), live }
    }
}

/// The place of a run among those in flight. Dropped when it is over, however it came to that.
pub struct Presence {
    runs: Arc<LiveRuns>,
    pub live: Arc<LiveRun>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.live.run);
        self.live.log.close();
        self.live.ended.cancel();
    }
}
