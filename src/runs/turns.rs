//! Whose turn it is in a conversation: one at a time, in the order in which they came. Here that is a line, and among
//! processes a lease on the conversation's head, which is kept while anybody stands in the line.

use super::leases::{Head, Leases};
use super::lines::{Lines, Spot};
use crate::core::ports::journals::Fence;
use crate::core::ports::store::StoreError;
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

pub use super::lines::{Busy, MAX_WAITING};

pub struct Turns {
    lines: Arc<Lines<Conversation, Mutex<Option<Head>>>>,
    leases: Arc<Leases>,
}

/// Its principal and its id.
type Conversation = (Arc<str>, String);

/// A place in the line before a conversation. Dropping it gives it up, whether its turn has come or not.
pub struct Place {
    spot: Spot<Conversation, Mutex<Option<Head>>>,
    leases: Arc<Leases>,
    fence: OnceLock<Fence>,
}

impl Turns {
    pub fn new(leases: Arc<Leases>) -> Self {
        Self { lines: Arc::default(), leases }
    }

    /// Takes the last place in the line before this conversation.
    pub fn line_up(&self, principal: &Arc<str>, conversation: &str) -> Result<Place, Busy> {
        let spot = self.lines.line_up((Arc::clone(principal), conversation.to_owned()))?;
        Ok(Place { spot, leases: Arc::clone(&self.leases), fence: OnceLock::new() })
    }
}

impl Place {
    /// Waits until everybody before has left, and no other process has the conversation. Can be dropped and called again.
    pub async fn turn(&self) -> Result<(), StoreError> {
        self.spot.turn().await;
        self.take_head().await
    }

    /// Nobody is before it in this process.
    pub fn is_first(&self) -> bool {
        self.spot.is_first()
    }

    /// Takes the conversation for this process, if it has not got it, whoever is before in the line.
    pub async fn take_head(&self) -> Result<(), StoreError> {
        let mut held = self.spot.shared.lock().await;
        if !held.as_ref().is_some_and(Head::is_fresh) {
            let (principal, conversation) = &self.spot.key;
            *held = self.leases.take_head(principal, conversation).await?;
        }
        held.as_ref().map(|head| self.fence.set(head.fence));
        Ok(())
    }

    /// With which it adds to the conversation. `None` before its turn, and where there is no such conversation.
    pub fn fence(&self) -> Option<Fence> {
        self.fence.get().copied()
    }
}
