//! Runs that a process has left behind, and what becomes of them: some are gone on with, the others get their end.

use super::coming::told;
use super::descent::Descent;
use super::live::{Known, LiveRun};
use super::registry::{LeftRun, Runs};
use super::scribe::{Book, Pace, Scribe};
use super::turns::Place;
use crate::core::event::Outcome;
use crate::core::journal::Journal;
use crate::core::ports::journals::{Claimed, Millis};
use crate::core::ports::store::StoreError;
use crate::core::run::{Delegation, Input, OnDisconnect, closing};
use crate::dialect::record::Record;
use crate::dialect::runs;
use std::sync::Arc;
use tracing::Instrument;

/// Runs that are claimed at once.
const AT_ONCE: usize = 256;

/// How many times in a row a run may be found dead without having come any further.
pub const MAX_CRASHES: u32 = 3;

impl Runs {
    /// Some of the runs that others have left by `now`; none if there are no more.
    pub async fn left_behind(&self, now: Millis) -> Result<Vec<Claimed>, StoreError> {
        self.store.claim(self.leases.lease(), now, AT_ONCE).await
    }

    /// Goes on with a run, as soon as its brief is there.
    pub fn go_on(self: &Arc<Self>, left: LeftRun) {
        let LeftRun { claimed, profile, record, brief } = left;
        let Claimed { run, principal, fence, response, .. } = claimed;
        let span = tracing::info_span!("run", %run, profile = profile.id, %principal, resumed = true);
        let (model, descent) = (profile.id.clone(), Descent::first(profile.agent.limits.delegation));
        let live = LiveRun::new(run, principal, model, Known::of(record), OnDisconnect::Detach, descent);
        let mut coming = self.coming(live, None, profile);
        coming.scribe.go_on_after(&response.journal);
        coming.scribe.keep(Book::new(Arc::clone(&self.store), fence, response.journal.len()));
        let journal = Journal::clone(&response.journal);
        self.tracker.spawn(told(coming.once_briefed(brief, Input::Resumed(journal))).instrument(span));
    }

    /// Ends a run that nobody goes on with, with what it had. `place` is in the line before its conversation.
    pub async fn close(&self, claimed: Claimed, record: Record, outcome: Outcome, place: Option<Place>) {
        let Claimed { run, principal, fence, response, .. } = claimed;
        tracing::info!(%run, %principal, ?outcome, "a run that was left behind is closed");
        // Its turn came before it was left; others in the line have theirs later.
        if let Some(place) = &place
            && let Err(error) = place.take_head().await
        {
            tracing::error!(%error, "the conversation of a run that was left behind could not be taken");
            return;
        }
        // Nobody listens: the log is there because a scribe wants one.
        let model = runs::model(&response.head);
        let descent = Descent::first(Delegation::default());
        let live = LiveRun::new(run, principal, model, Known::of(record), OnDisconnect::Detach, descent);
        let pace = Pace::of_nobody(self.shutdown.clone());
        let mut scribe = Scribe::new(Arc::clone(&live), pace);
        scribe.go_on_after(&response.journal);
        scribe.keep(Book::new(Arc::clone(&self.store), fence, response.journal.len()));
        for event in closing(&response.journal) {
            // What cannot be written is told in the log by the scribe, and the run is found again at the next start.
            if scribe.tell(event).await.is_err() {
                return;
            }
        }
        let turn = place.as_ref().and_then(Place::fence);
        scribe.tell_end(outcome, response.previous.clone(), turn).await;
    }
}
