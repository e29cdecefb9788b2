//! The port to what outlives a request: sessions found by their history, and turns that wait for a client's tools.

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
}

/// A hash over a conversation up to its last answer (see `transcript::trace`).
pub type Fingerprint = [u8; 32];

/// The items one run has made.
pub type Turn = Arc<[Arc<Item>]>;

/// The store could not do what was asked; the text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);
