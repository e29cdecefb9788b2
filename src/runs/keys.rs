//! Keys of runs that are not stored: a repeat of their request finds them while they run, and for a while after.

use super::live::LiveRun;
use crate::core::ports::journals::KeyedRun;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a run that is over can be told again.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Runs that are remembered by their keys, of all principals together.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

pub struct Keys(Mutex<LruCache<Owned, (KeyedRun, Arc<LiveRun>)>>);

/// A principal and its key.
type Owned = (Arc<str>, String);

impl Default for Keys {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_KEYS)))
    }
}

impl Keys {
    /// Binds a key, or gives the run that it stands for.
    pub fn bind(&self, key: String, run: KeyedRun, live: &Arc<LiveRun>) -> Result<(), KeyedRun> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (Arc::clone(&live.principal), key);
        if let Some((taken, _)) = keys.get(&name).filter(|(_, live)| live.log.is_recent(AFTERWARDS)) {
            return Err(taken.clone());
        }
        // What nobody may ask for any more need not be kept.
        while keys.peek_lru().is_some_and(|(_, (_, live))| !live.log.is_recent(AFTERWARDS)) {
            keys.pop_lru();
        }
        keys.put(name, (run, Arc::clone(live)));
        Ok(())
    }

    pub fn find(&self, principal: &str, key: &str) -> Option<(KeyedRun, Arc<LiveRun>)> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = keys.get(&(Arc::from(principal), key.to_owned()))?;
        Some(found.clone()).filter(|(_, live)| live.log.is_recent(AFTERWARDS))
    }
}
