//! The port to what outlives a request: sessions found by their history, turns that wait for a client's tools, and
//! responses that a client may ask for again.

use crate::core::item::Item;
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

    /// What each key stands for, wherever among the inputs and outputs of responses it is.
    fn items(&self, principal: &str, keys: &[ItemKey]) -> BoxFuture<'_, Result<Vec<Found>, StoreError>>;

    /// A response and all that it goes on from, the first of them first. `None` if any of them is not there.
    fn chain(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Chain>, StoreError>>;

    fn keep_response(&self, principal: &str, response: StoredResponse) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Says whether it was there.
    fn delete_response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// A hash over a conversation up to its last answer (see `transcript::trace`).
pub type Fingerprint = [u8; 32];

/// How an item of a stored response is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemKey {
    Id(String),
    /// A call that a server has run, by its call id, with its output: to clients the two are one item. Of a call that
    /// was cut off nothing is left.
    Call(String),
}

/// The items that a key stands for, if any.
pub type Found = Option<Vec<Arc<Item>>>;

/// The items one run has made.
pub type Turn = Arc<[Arc<Item>]>;

/// What one response adds to its conversation, and the object that its client was given.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResponse {
    pub id: String,
    /// The response that this one goes on from.
    pub previous: Option<String>,
    /// Of this response alone: those of the first one of a chain tell which session the chain has.
    pub instructions: Option<String>,
    /// What this request brought, without the history; each item has an id.
    pub input: Turn,
    pub output: Turn,
    /// The object as JSON text, kept as it was sent: what is asked for later must not differ from it.
    pub resource: String,
}

pub type Chain = Vec<Arc<StoredResponse>>;

/// The store could not do what was asked; the text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);
