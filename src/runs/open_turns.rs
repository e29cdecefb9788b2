//! What the server did in turns that wait for a client's tools, for the request that brings the results. It is in the store,
//! or, where a client wants nothing kept, in the memory of this process for as long as a tool may take.

use crate::core::item::Item;
use crate::core::ports::store::{Store, StoreError, Turn};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a turn is remembered.
const MEMORY: Duration = Duration::from_secs(3600);

/// How many are, of all principals together, and their bytes.
const MAX_TURNS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
const MAX_BYTES: usize = 16 << 20;

pub struct OpenTurns {
    store: Arc<dyn Store>,
    remembered: Mutex<Remembered>,
}

/// By principal and the first call of the turn, those that were put in last first.
struct Remembered {
    turns: LruCache<(Arc<str>, String), (Instant, Turn)>,
    bytes: usize,
}

impl OpenTurns {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, remembered: Mutex::new(Remembered { turns: LruCache::new(MAX_TURNS), bytes: 0 }) }
    }

    /// The turn that ended with this call.
    pub async fn find(&self, principal: &Arc<str>, call_id: &str) -> Result<Option<Turn>, StoreError> {
        let remembered =
            self.remembered.lock().unwrap_or_else(PoisonError::into_inner).find(principal, call_id, Instant::now());
        match remembered {
            Some(turn) => Ok(Some(turn)),
            None => self.store.turn(principal, call_id).await,
        }
    }

    /// Has the turn found by its calls. One that is `off_record` is not stored.
    pub async fn keep(
        &self,
        principal: &Arc<str>,
        call_ids: &[String],
        turn: Turn,
        off_record: bool,
    ) -> Result<(), StoreError> {
        if !off_record {
            return self.store.keep_turn(principal, call_ids, turn).await;
        }
        if let Some(call_id) = call_ids.first() {
            let key = (Arc::clone(principal), call_id.clone());
            self.remembered.lock().unwrap_or_else(PoisonError::into_inner).keep(key, turn, Instant::now());
        }
        Ok(())
    }
}

impl Remembered {
    /// Looks without that counting as use, so that the oldest stays the first to go.
    fn find(&mut self, principal: &Arc<str>, call_id: &str, now: Instant) -> Option<Turn> {
        self.forget(|_, age| age > MEMORY, now);
        self.turns.peek(&(Arc::clone(principal), call_id.to_owned())).map(|(_, turn)| Arc::clone(turn))
    }

    fn keep(&mut self, key: (Arc<str>, String), turn: Turn, now: Instant) {
        self.bytes = self.bytes.saturating_add(size(&turn));
        if let Some((_, (_, old))) = self.turns.push(key, (now, turn)) {
            self.bytes = self.bytes.saturating_sub(size(&old));
        }
        self.forget(|bytes, age| bytes > MAX_BYTES || age > MEMORY, now);
    }

    /// Forgets the oldest, as long as this is so of all bytes and of its age.
    fn forget(&mut self, goes: impl Fn(usize, Duration) -> bool, now: Instant) {
        let age = |begun: &Instant| now.saturating_duration_since(*begun);
        while self.turns.peek_lru().is_some_and(|(_, (begun, _))| goes(self.bytes, age(begun))) {
            let Some((_, (_, old))) = self.turns.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(size(&old));
        }
    }
}

fn size(turn: &[Arc<Item>]) -> usize {
    turn.iter().map(|item| item.weight()).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::item::{Message, Role};

    fn turn(bytes: usize) -> Turn {
        Arc::from([Arc::new(Item::Message(Message::of(Role::Assistant, "x".repeat(bytes))))])
    }

    #[test]
    fn the_oldest_goes_for_lack_of_room_and_each_after_a_while() {
        let mut remembered = Remembered { turns: LruCache::new(MAX_TURNS), bytes: 0 };
        let (ann, now): (Arc<str>, _) = ("ann".into(), Instant::now());
        for call in ["a", "b", "c"] {
            remembered.keep((Arc::clone(&ann), call.into()), turn(MAX_BYTES / 2 - 1000), now);
        }
        let mut found = |who: &str, at| ["a", "b", "c"].map(|call| remembered.find(&who.into(), call, at).is_some());
        assert_eq!((found("ann", now + MEMORY), found("bob", now)), ([false, true, true], [false; 3]));
        assert_eq!(found("ann", now + MEMORY * 2), [false; 3]);
        assert_eq!((remembered.turns.len(), remembered.bytes), (0, 0));
    }
}
