//! How much a run may hand on, and its children after it.

use crate::core::run::Delegation;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The place of a run among those that have handed tasks on to one another.
#[derive(Debug)]
pub struct Descent {
    /// Levels that there may be below it.
    depth: u32,
    /// Tasks that may still be handed on, by the first run and all below it together: a limit for each of them would be
    /// none, as it would grow with their number.
    left: Arc<AtomicU32>,
    total: u32,
    /// For the children of this run alone. Of places that all shared, those above would hold what those below wait for.
    places: Semaphore,
}

impl Descent {
    /// Of a run that a client has asked for.
    pub fn first(limits: Delegation) -> Self {
        let left = Arc::new(AtomicU32::new(limits.total));
        Self { depth: limits.depth, left, total: limits.total, places: Semaphore::new(limits.at_once as usize) }
    }

    /// Of the next child, whose profile has these limits. The error tells the model why there is none.
    pub fn below(&self, limits: Delegation) -> Result<Self, String> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err("Not delegated: this task was handed on itself, and may not be handed on again. Do it \
                        yourself."
                .to_owned());
        };
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if taken.is_err() {
            let total = self.total;
            return Err(format!(
                "Not delegated: {total} tasks were handed on in this run, and no more may be. Do the rest yourself."
            ));
        }
        Ok(Self {
            depth: depth.min(limits.depth),
            left: Arc::clone(&self.left),
            total: self.total,
            places: Semaphore::new(limits.at_once as usize),
        })
    }

    pub fn may_delegate(&self) -> bool {
        self.depth > 0
    }

    /// Waits until one more of its children may be at work.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.places.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(depth: u32, total: u32) -> Delegation {
        Delegation { depth, total, at_once: 1 }
    }

    #[test]
    fn a_family_has_one_number_of_tasks_and_no_child_goes_deeper_than_its_parent_may() {
        let first = Descent::first(limits(2, 3));
        let second = first.below(limits(9, 9)).unwrap();
        let third = second.below(limits(9, 9)).unwrap();
        assert!(second.may_delegate() && !third.may_delegate());
        assert!(third.below(limits(9, 9)).unwrap_err().starts_with("Not delegated: this task was handed on itself"));
        let modest = first.below(limits(0, 9)).unwrap();
        assert!(!modest.may_delegate());
        for above in [&first, &second] {
            assert!(above.below(limits(9, 9)).unwrap_err().starts_with("Not delegated: 3 tasks were handed on"));
        }
    }
}
