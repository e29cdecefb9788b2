//! The port to notes that outlive a session.

use super::store::StoreError;
use crate::core::notes::{Changed, NoteChange, Notebook};
use futures_util::future::BoxFuture;

/// Notebooks of principals, each in a scope that is the principal's own. There is room for many; when there is none for
/// one more, the principal's notebook goes that was not changed for the longest time.
pub trait Notes: Send + Sync {
    /// The notebook as it is now; an empty one where there is none.
    fn notebook(&self, principal: &str, scope: Scope) -> BoxFuture<'_, Result<Notebook, StoreError>>;

    /// Makes one change to the notebook as it is at that moment, whoever else changes it. What was done outlives a loss
    /// of power, and a text that was removed or replaced is kept nowhere.
    fn change_notes(
        &self,
        principal: &str,
        scope: Scope,
        change: NoteChange,
        max_size: usize,
    ) -> BoxFuture<'_, Result<Changed, StoreError>>;
}

/// Whose notes they are, as a hash: what a request says of a person is kept nowhere.
pub type Scope = [u8; 32];
