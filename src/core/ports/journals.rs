//! The port to the journals of runs, in which a run outlives the process that runs it. A run belongs to one process at a
//! time, for as long as its lease lasts; nothing here takes it for granted that all processes are on one machine.

use super::store::{StoreError, StoredResponse};
use crate::core::event::Outcome;
use crate::core::id::RunId;
use crate::core::journal::{Journal, Told};
use futures_util::future::BoxFuture;
use std::sync::Arc;

pub trait Journals: Send + Sync {
    /// Begins the journal of a run, which belongs to the lease's owner from now on.
    fn begin(&self, run: NewRun, lease: Lease) -> BoxFuture<'_, Result<Begun, StoreError>>;

    /// The run that a principal's key stands for at `now`.
    fn keyed(&self, principal: &str, key: &str, now: Millis) -> BoxFuture<'_, Result<Option<KeyedRun>, StoreError>>;

    /// Adds to a journal; when this returns, what the promise says holds. Refused where another owner has taken the run
    /// over (an older fence) and where `batch.at` is not the end of the journal. A batch with the last event of a run
    /// makes its response one that can be asked for; it is refused as a whole where its conversation's head is another's.
    fn append(&self, run: RunId, fence: Fence, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What was told from the event number `after` on; `None` for a run that this principal does not have.
    fn tail(&self, principal: &str, run: RunId, after: u64) -> BoxFuture<'_, Result<Option<Tail>, StoreError>>;

    /// Takes over at most so many runs of others, in progress and with leases that were over at `now`, the oldest first.
    /// The heads of conversations that others had until then are free.
    fn claim(&self, lease: Lease, now: Millis, at_most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;

    /// Prolongs all leases of the owner, on runs and on the heads of conversations.
    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Gives a run back, so that it can be claimed at once. That ends a row of crashes, as it is none.
    fn release(&self, run: RunId, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Another process can find here what this one leaves behind.
    fn outlives_the_process(&self) -> bool;

    /// The runs of a principal, those in progress and those that are over, the newest first. `before` is where the last
    /// page ended.
    fn runs(
        &self,
        principal: &str,
        before: Option<RunId>,
        at_most: usize,
    ) -> BoxFuture<'_, Result<Vec<RunSummary>, StoreError>>;
}

/// Unix time in milliseconds.
pub type Millis = u64;

/// Later than any lease is over. Databases know signed numbers only.
pub const END_OF_TIME: Millis = i64::MAX as u64;

/// Whose something is, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Names one process, never again used by another.
    pub owner: Arc<str>,
    pub until: Millis,
}

/// Grows with each owner of a run, and each time that the head of a conversation is taken. What comes with an older one is
/// too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

impl Fence {
    /// Of what nobody has taken yet.
    pub const FIRST: Self = Self(0);
}

/// A run that is about to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    pub run: RunId,
    pub principal: Arc<str>,
    /// As it begins: nothing was told yet.
    pub response: StoredResponse,
    /// What the run was asked, as JSON of whoever carries it on. Kept until the run is over.
    pub request: String,
    pub key: Option<IdempotencyKey>,
}

/// A client's word that requests with the same key are one and the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// Hash of what was asked, to tell a repeat from another request.
    pub body: [u8; 32],
    /// When the key is forgotten, and when that is: the store is told both times and has no clock.
    pub now: Millis,
    pub until: Millis,
}

/// What came of the wish to begin a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    Begun(Fence),
    /// The key is taken. Nothing has begun.
    Taken(KeyedRun),
}

/// The run that a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRun {
    pub run: RunId,
    /// The id of its answer.
    pub id: String,
    pub body: [u8; 32],
}

/// Events to be added to a journal, all of them or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// How many events the journal must hold before.
    pub at: u64,
    pub told: Vec<Told>,
    pub promise: Promise,
    /// Goes with the last event of a run.
    pub end: Option<Ending>,
}

/// What is known of a response at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// Unix seconds.
    pub at: u64,
    /// The link that it went on from, in a conversation whatever that is by now.
    pub previous: Option<String>,
    /// The conversation that it becomes the head of, and the fence of who has that.
    pub conversation: Option<(String, Fence)>,
    /// All that was told, the batch with it included: who has heard it all spares the store to read it back.
    pub journal: Option<Arc<Journal>>,
}

/// What must survive, once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// The end of the process. Enough for words: a model call that is made again says them again.
    Process,
    /// A loss of power too: a tool with effects is about to run.
    Start,
    /// The same for what a tool or a model call has come to. It also ends a row of crashes without any progress.
    Outcome,
}

/// A part of a journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tail {
    pub journal: Journal,
    /// Nothing will follow.
    pub ended: bool,
}

/// A run that its owner has left.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    pub run: RunId,
    pub principal: Arc<str>,
    pub fence: Fence,
    /// With the journal so far.
    pub response: StoredResponse,
    pub request: String,
    /// How many times in a row it has been claimed without an outcome in between, this time included.
    pub claims: u32,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    pub run: RunId,
    /// The id of its answer.
    pub id: String,
    /// How its answer began, as the dialect's own JSON.
    pub head: String,
    /// `None` while it is in progress.
    pub outcome: Option<Outcome>,
    pub ended_at: Option<u64>,
}
