//! The port to what outlives a request: sessions found by their history, turns that wait for a client's tools, and
//! responses that a client may ask for again.

use crate::core::item::Item;
use crate::core::journal::Journal;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// A store. Everything in it belongs to a principal; another principal's data is as good as absent.
pub trait Store: Send + Sync {
    /// The session whose conversation has this fingerprint; `None` also where two sessions have the same one.
    fn session(&self, principal: &str, fingerprint: Fingerprint) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

    /// Binds a fingerprint. One that is bound to another session leads to neither from then on: whose it is cannot be
    /// told, and one person's files must not be shown to another.
    fn remember_session(
        &self,
        principal: &str,
        fingerprint: Fingerprint,
        session: String,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The turn that ended with this client call: all its items, those the client never saw included.
    fn turn(&self, principal: &str, call_id: &str) -> BoxFuture<'_, Result<Option<Turn>, StoreError>>;

    fn keep_turn(&self, principal: &str, call_ids: &[String], turn: Turn) -> BoxFuture<'_, Result<(), StoreError>>;

    fn response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Arc<StoredResponse>>, StoreError>>;

    /// A response and all that it goes on from, the first of them first. `None` if any of them is not there.
    fn chain(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Chain>, StoreError>>;

    fn keep_response(&self, principal: &str, response: StoredResponse) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Says whether it was there. What was kept of its turns goes with it.
    fn delete_response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// How it is doing. Asks for nothing that takes time.
    fn health(&self) -> Health;
}

/// What an operator wants to know of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub kind: &'static str,
    /// Where it is, if it is anywhere.
    pub path: Option<String>,
    /// What it takes there.
    pub bytes: u64,
    pub responses: u64,
    /// Why what is asked of it fails, until something works again.
    pub trouble: Option<String>,
}

/// A hash over a conversation up to its last answer (see `transcript::trace`).
pub type Fingerprint = [u8; 32];

/// The items one run has made.
pub type Turn = Arc<[Arc<Item>]>;

/// What one response adds to its conversation, and what its client was told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResponse {
    pub id: String,
    /// The response that this one goes on from.
    pub previous: Option<String>,
    /// Of this response alone: those of the first one of a chain tell which session the chain has.
    pub instructions: Option<String>,
    /// What this request brought, without the history; each item has an id.
    pub input: Turn,
    /// The items that `journal` ends with.
    pub output: Turn,
    /// How the response began, as the dialect's own JSON. With the journal it makes the object and its stream.
    pub head: String,
    pub journal: Arc<Journal>,
    /// Unix seconds.
    pub ended_at: Option<u64>,
}

pub type Chain = Vec<Arc<StoredResponse>>;

/// The store could not do what was asked; the texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store failed: {0}")]
    Failed(String),
    /// Another process has taken the run over, or the run is not there any more.
    #[error("the run belongs to another process")]
    Fenced,
    /// The journal does not end where it was taken to.
    #[error("the journal ends at {0}, not where it was expected to")]
    Misplaced(u64),
}
