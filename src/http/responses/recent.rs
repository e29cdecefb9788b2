//! The latest responses of one connection, as far as the store does not have them: for as long as its client stays, it
//! can go on from them.

use crate::core::ports::store::Chain;
use std::collections::VecDeque;

/// Each is kept with all that it goes on from, so that none needs another.
#[derive(Default)]
pub struct Recent {
    /// The newest is the last.
    chains: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    chain: Chain,
    bytes: usize,
}

const MAX_RESPONSES: usize = 16;
const MAX_BYTES: usize = 32 << 20;

impl Recent {
    /// What ends with this response.
    pub fn chain(&self, id: &str) -> Option<&Chain> {
        self.chains.iter().find(|kept| kept.is_of(id)).map(|kept| &kept.chain)
    }

    pub fn keep(&mut self, chain: Chain) {
        let bytes = chain.iter().map(|response| response.weight()).fold(0, usize::saturating_add);
        self.bytes = self.bytes.saturating_add(bytes);
        self.chains.push_back(Kept { chain, bytes });
        while self.chains.len() > MAX_RESPONSES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.chains.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
        }
    }

    pub fn forget(&mut self, id: &str) {
        self.chains.retain(|kept| !kept.is_of(id));
        self.bytes = self.chains.iter().map(|kept| kept.bytes).fold(0, usize::saturating_add);
    }
}

impl Kept {
    fn is_of(&self, id: &str) -> bool {
        self.chain.last().is_some_and(|last| last.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ports::store::{Link, StoredResponse};
    use std::sync::Arc;

    fn response(id: usize, bytes: usize) -> Link {
        let (id, head) = (id.to_string(), "x".repeat(bytes));
        let (input, output, journal) = ([].into(), [].into(), Arc::default());
        let (previous, conversation, instructions, ended_at) = (None, None, None, None);
        let response =
            StoredResponse { id, previous, conversation, instructions, input, output, head, journal, ended_at };
        Link::Response(Arc::new(response))
    }

    fn kept(recent: &Recent) -> Vec<usize> {
        (0..100).filter(|id| recent.chain(&id.to_string()).is_some()).collect()
    }

    #[test]
    fn the_newest_stay_whatever_they_go_on_from() {
        let (mut recent, mut chain) = (Recent::default(), Chain::new());
        for id in 0..40 {
            chain.push(response(id, 10));
            recent.keep(chain.clone());
        }
        assert_eq!(kept(&recent), (24..40).collect::<Vec<_>>());
        assert_eq!(recent.chain("39"), Some(&chain));
        recent.forget("30");
        recent.forget("0");
        assert_eq!(kept(&recent), (24..30).chain(31..40).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_are_bounded_and_counted() {
        let mut recent = Recent::default();
        for id in 0..5 {
            recent.keep(vec![response(id, MAX_BYTES / 3)]);
        }
        assert_eq!(kept(&recent), [3, 4]);
        recent.forget("3");
        recent.keep(vec![response(5, MAX_BYTES / 3)]);
        assert_eq!(kept(&recent), [4, 5]);
        recent.keep(vec![response(6, MAX_BYTES)]);
        assert_eq!((kept(&recent), recent.bytes), (vec![], 0));
    }
}
