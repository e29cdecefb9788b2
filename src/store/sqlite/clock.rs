//! When what was used: a time that never stands still, so that it orders too.

use crate::core::ports::journals::Millis;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Clock {
    now: fn() -> Millis,
    last: AtomicU64,
}

impl Clock {
    /// Goes on after `last`, also if the clock of the machine was set back.
    pub fn after(last: Millis, now: fn() -> Millis) -> Self {
        Self { now, last: AtomicU64::new(last) }
    }

    /// A time that no other call gets.
    pub fn tick(&self) -> Millis {
        let next = |last: u64| last.saturating_add(1).max((self.now)());
        let update = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        update.map_or(0, next)
    }

    pub fn now(&self) -> Millis {
        (self.now)()
    }
}

pub fn system() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
