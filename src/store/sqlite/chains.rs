//! Chains that were gone on from lately. A long one takes milliseconds to read, and its next turn adds one link to it.

use crate::core::ports::store::{Chain, Link};
use lru::LruCache;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that chains may take in memory. One that takes more alone is read each time.
const MAX_BYTES: usize = 32 << 20;

/// Chains as they were read, by the numbers of their last links. Nobody but this process's writer changes links: the
/// database is locked for others.
pub struct Chains(Mutex<State>);

struct State {
    read: LruCache<i64, Read>,
    bytes: usize,
    /// How often links were changed so far. What was read before that may be older.
    changes: u64,
}

/// A chain, and the numbers of its links.
#[derive(Clone, Default)]
pub struct Read {
    pub links: Chain,
    numbers: Vec<i64>,
    bytes: usize,
}

impl Read {
    pub fn push(&mut self, number: i64, link: Link) {
        self.bytes = self.bytes.saturating_add(link.weight());
        self.numbers.push(number);
        self.links.push(link);
    }

    pub fn reverse(&mut self) {
        self.numbers.reverse();
        self.links.reverse();
    }

    /// The number of its last link.
    pub fn end(&self) -> Option<i64> {
        self.numbers.last().copied()
    }

    /// What is gone from a chain is joined with what goes after it.
    fn is_whole(&self) -> bool {
        self.links.iter().all(|link| !matches!(link, Link::Gone { .. }))
    }
}

impl Default for Chains {
    fn default() -> Self {
        Self(Mutex::new(State { read: LruCache::unbounded(), bytes: 0, changes: 0 }))
    }
}

impl Chains {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be asked before a chain is read that is to be kept.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The chain that ends with this link.
    pub fn ending_with(&self, link: i64) -> Option<Read> {
        self.lock().read.get(&link).cloned()
    }

    /// Keeps what was read, in place of the chain that it goes on from.
    pub fn keep(&self, chain: &Read, changes: u64) {
        let Some(end) = chain.end().filter(|_| chain.bytes <= MAX_BYTES && chain.is_whole()) else { return };
        let mut state = self.lock();
        if state.changes != changes {
            return;
        }
        let before = chain.numbers.iter().rev().nth(1);
        before.map(|before| state.take(*before));
        state.take(end);
        state.bytes = state.bytes.saturating_add(chain.bytes);
        state.read.put(end, chain.clone());
        while state.bytes > MAX_BYTES {
            let Some((_, old)) = state.read.pop_lru() else { break };
            state.bytes = state.bytes.saturating_sub(old.bytes);
        }
    }

    /// These links are not any more what they were.
    pub fn forget(&self, changed: &[i64]) {
        if changed.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.changes = state.changes.wrapping_add(1);
        let has_changed = |chain: &Read| changed.iter().any(|link| chain.numbers.contains(link));
        let stale: Vec<i64> = state.read.iter().filter(|(_, chain)| has_changed(chain)).map(|(end, _)| *end).collect();
        stale.into_iter().for_each(|end| state.take(end));
    }
}

impl State {
    fn take(&mut self, end: i64) {
        let taken = self.read.pop(&end).map_or(0, |chain| chain.bytes);
        self.bytes = self.bytes.saturating_sub(taken);
    }
}
