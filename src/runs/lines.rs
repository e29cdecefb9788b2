//! Who is first: a line before each thing that somebody wants for himself, in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A line before each thing that somebody is at, of a bounded length. Who stands in one shares a `T`, which goes with the
/// last of them.
#[derive(Debug)]
pub struct Lines<K, T>(Mutex<HashMap<K, Line<T>>>);

/// Who may wait in one line.
pub const MAX_WAITING: usize = 64;

#[derive(Debug, Default)]
struct Line<T> {
    /// Who stands in it; the first has the turn.
    tickets: VecDeque<u64>,
    next_ticket: u64,
    /// Somebody has left.
    moved: Arc<Notify>,
    shared: Arc<T>,
}

/// A spot in a line. Dropping it gives it up, whether its turn has come or not.
#[derive(Debug)]
pub struct Spot<K: Eq + Hash, T> {
    lines: Arc<Lines<K, T>>,
    pub key: K,
    ticket: u64,
    moved: Arc<Notify>,
    pub shared: Arc<T>,
}

/// As many wait as may.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl<K, T> Default for Lines<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, T: Default> Lines<K, T> {
    /// Takes the last spot in a line.
    pub fn line_up(self: &Arc<Self>, key: K) -> Result<Spot<K, T>, Busy> {
        let mut lines = self.lock();
        let line = lines.entry(key.clone()).or_default();
        if line.tickets.len() > MAX_WAITING {
            return Err(Busy);
        }
        let ticket = line.next_ticket;
        line.next_ticket = ticket.saturating_add(1);
        line.tickets.push_back(ticket);
        let (moved, shared) = (Arc::clone(&line.moved), Arc::clone(&line.shared));
        drop(lines);
        Ok(Spot { lines: Arc::clone(self), key, ticket, moved, shared })
    }
}

impl<K, T> Lines<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Line<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, T> Spot<K, T> {
    /// Waits until everybody before has left. Can be dropped and called again.
    pub async fn turn(&self) {
        loop {
            // Made before the look, so that who leaves in between wakes it.
            let moved = self.moved.notified();
            if self.is_first() {
                return;
            }
            moved.await;
        }
    }

    pub fn is_first(&self) -> bool {
        self.lines.lock().get(&self.key).is_none_or(|line| line.tickets.front() == Some(&self.ticket))
    }
}

impl<K: Eq + Hash, T> Drop for Spot<K, T> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let mut empty = None;
        if let Some(line) = lines.get_mut(&self.key) {
            line.tickets.retain(|ticket| *ticket != self.ticket);
            if line.tickets.is_empty() {
                empty = lines.remove(&self.key);
            }
        }
        drop(lines);
        // Outside of the lock, as what they shared may have an end of its own.
        drop(empty);
        self.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    type Named = Arc<Lines<&'static str, ()>>;

    async fn has_turn(spot: &Spot<&'static str, ()>) -> bool {
        futures_util::poll!(pin!(spot.turn())).is_ready()
    }

    #[tokio::test]
    async fn one_after_the_other_and_who_leaves_is_waited_for_no_more() {
        let lines = Named::default();
        let line_up = |key| lines.line_up(key).unwrap();
        let (first, second, third, other) = (line_up("a"), line_up("a"), line_up("a"), line_up("b"));
        assert!(has_turn(&first).await && has_turn(&other).await);
        assert!(!has_turn(&second).await && !has_turn(&third).await);
        {
            let mut waiting = pin!(third.turn());
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            drop(second);
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            drop(first);
            waiting.await;
        }
        drop((third, other));
        assert!(lines.lock().is_empty(), "lines that nobody stands in");
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let lines = Named::default();
        let mut spots: Vec<_> = (0..=MAX_WAITING).map(|_| lines.line_up("a").unwrap()).collect();
        assert_eq!(lines.line_up("a").err(), Some(Busy));
        assert!(lines.line_up("b").is_ok());
        spots.pop();
        assert!(lines.line_up("a").is_ok());
    }
}
