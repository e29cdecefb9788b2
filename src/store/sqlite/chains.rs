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
        chain.numbers.iter().rev().take(2).for_each(|end| state.take(*end));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ports::store::AddedItems;
    use std::sync::Arc;

    /// The chain of links up to this one.
    fn chain(end: i64) -> Read {
        let mut read = Read::default();
        for number in 1..=end {
            let (id, previous) = (number.to_string(), (number > 1).then(|| (number - 1).to_string()));
            let added = AddedItems { id, previous, conversation: "c".into(), items: Arc::default() };
            read.push(number, Link::Items(Arc::new(added)));
        }
        read
    }

    fn known(chains: &Chains) -> Vec<i64> {
        (1..=9).filter(|end| chains.ending_with(*end).is_some()).collect()
    }

    #[test]
    fn a_chain_is_known_until_a_link_of_it_changes() {
        let chains = Chains::default();
        chains.keep(&chain(2), chains.changes());
        chains.keep(&chain(3), chains.changes());
        assert_eq!(known(&chains), [3], "it has moved on with its end");
        assert_eq!(chains.ending_with(3).unwrap().links, chain(3).links);
        chains.forget(&[7]);
        assert_eq!(known(&chains), [3]);
        chains.forget(&[1]);
        assert_eq!((known(&chains), chains.lock().bytes), (vec![], 0));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let chains = Chains::default();
        let (before, read) = (chains.changes(), chain(2));
        chains.forget(&[2]);
        chains.keep(&read, before);
        assert_eq!(known(&chains), [0; 0]);
    }

    #[test]
    fn a_chain_with_a_gap_is_read_each_time_and_what_is_too_much_goes() {
        let chains = Chains::default();
        let mut gone = chain(1);
        gone.push(2, Link::Gone { id: "2".into(), previous: Some("1".into()), conversation: None });
        chains.keep(&gone, chains.changes());
        assert_eq!(known(&chains), [0; 0]);
        let large = |end| Read { bytes: MAX_BYTES / 2, ..chain(end) };
        for end in [2, 4, 6] {
            chains.keep(&large(end), chains.changes());
        }
        assert_eq!(known(&chains), [4, 6]);
        chains.keep(&Read { bytes: MAX_BYTES + 1, ..chain(8) }, chains.changes());
        assert_eq!(known(&chains), [4, 6]);
    }
}
