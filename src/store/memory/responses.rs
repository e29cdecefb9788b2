//! The stored responses of one principal, bounded by their number and their bytes, least recently used first out.

use super::size;
use crate::core::ports::store::{Chain, StoredResponse};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Arc;

pub struct Responses {
    entries: LruCache<String, Arc<StoredResponse>>,
    bytes: usize,
    max_bytes: usize,
}

const MAX_RESPONSES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
const MAX_BYTES: usize = 64 << 20;

impl Default for Responses {
    fn default() -> Self {
        Self::bounded(MAX_RESPONSES, MAX_BYTES)
    }
}

impl Responses {
    fn bounded(max: NonZeroUsize, max_bytes: usize) -> Self {
        Self { entries: LruCache::new(max), bytes: 0, max_bytes }
    }

    pub fn get(&mut self, id: &str) -> Option<Arc<StoredResponse>> {
        self.entries.get(id).cloned()
    }

    /// The same without counting as use.
    pub fn look_at(&self, id: &str) -> Option<Arc<StoredResponse>> {
        self.entries.peek(id).cloned()
    }

    /// How many there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// From the first response to this one. The first is touched last: what others stand on should go after them.
    pub fn chain(&mut self, id: &str) -> Option<Chain> {
        let mut chain = vec![self.get(id)?];
        // A response goes on from one that was there before it, so there is no circle; the bound is for a broken rule.
        while let Some(previous) = chain.last().and_then(|last| last.previous.clone()) {
            if chain.len() > self.entries.len() {
                return None;
            }
            chain.push(self.get(&previous)?);
        }
        chain.reverse();
        Some(chain)
    }

    pub fn put(&mut self, response: StoredResponse) {
        let (id, response) = (response.id.clone(), Arc::new(response));
        self.bytes = self.bytes.saturating_add(weight(&response));
        if let Some((_, old)) = self.entries.push(id.clone(), response) {
            self.bytes = self.bytes.saturating_sub(weight(&old));
        }
        self.chain(&id);
        while self.bytes > self.max_bytes {
            let Some((_, old)) = self.entries.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(weight(&old));
        }
    }

    pub fn delete(&mut self, id: &str) -> bool {
        let old = self.entries.pop(id);
        self.bytes = self.bytes.saturating_sub(old.as_ref().map_or(0, |old| weight(old)));
        old.is_some()
    }
}

fn weight(response: &StoredResponse) -> usize {
    let instructions = response.instructions.as_ref().map_or(0, String::len);
    [response.head.len(), size(&response.input), response.journal.bytes(), instructions]
        .into_iter()
        .fold(256, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(id: &str, previous: Option<&str>) -> StoredResponse {
        let (input, output, journal) = ([].into(), [].into(), Arc::default());
        let (id, previous) = (id.to_owned(), previous.map(str::to_owned));
        StoredResponse {
            id,
            previous,
            instructions: None,
            input,
            output,
            head: "x".repeat(100),
            journal,
            ended_at: None,
        }
    }

    fn ids(chain: Option<Chain>) -> Option<Vec<String>> {
        chain.map(|chain| chain.iter().map(|response| response.id.clone()).collect())
    }

    #[test]
    fn a_chain_begins_with_its_first_response() {
        let mut store = Responses::default();
        for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("fork", Some("a"))] {
            store.put(response(id, previous));
        }
        assert_eq!(ids(store.chain("c")), Some(vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(ids(store.chain("fork")), Some(vec!["a".into(), "fork".into()]));
        assert!(store.delete("a") && !store.delete("a"));
        assert_eq!(ids(store.chain("c")), None, "a chain with a hole");
    }

    #[test]
    fn bytes_and_number_are_bounded_and_what_others_stand_on_goes_last() {
        let weight = weight(&response("a", None));
        for mut store in [
            Responses::bounded(NonZeroUsize::new(3).unwrap(), usize::MAX),
            Responses::bounded(MAX_RESPONSES, weight * 3),
        ] {
            for (id, previous) in [("a", None), ("lone", None), ("b", Some("a")), ("c", Some("b"))] {
                store.put(response(id, previous));
            }
            assert_eq!(store.get("lone"), None);
            assert_eq!(ids(store.chain("c")), Some(vec!["a".into(), "b".into(), "c".into()]));
            assert_eq!(store.bytes, weight * 3);
            assert!(store.delete("c"));
            assert_eq!(store.bytes, weight * 2);
        }
    }
}
