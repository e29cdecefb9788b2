//! The port to what outlives a request: sessions found by their history, and turns that wait for a client's tools.

use crate::core::item::Item;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// A store. Everything in it belongs to a principal; another principal's data is as good as absent.
pub trait Store: Send + Sync {
    /// The session whose first exchange has this fingerprint.
    fn session(&self, principal: &str, fingerprint: Fingerprint) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

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

/// A hash over the first exchange of a conversation (see `transcript::Opening`).
pub type Fingerprint = [u8; 32];

/// The items one run has made.
pub type Turn = Arc<[Arc<Item>]>;

/// The store could not do what was asked; the text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);
