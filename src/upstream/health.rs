//! What is known of how an upstream does, for `/health/detailed`.

use crate::core::failure::{Failure, FailureKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// How the last calls to one upstream went. Shared by everyone who calls it.
#[derive(Debug, Default)]
pub struct UpstreamHealth {
    last_error: Mutex<Option<LastError>>,
    /// Unix seconds of the last call that came to its end; 0 for never.
    last_success: AtomicU64,
}

/// A failure that was the upstream's or the operator's, not the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    pub message: String,
    /// Unix time in seconds.
    pub at: u64,
}

impl UpstreamHealth {
    /// Notes a failed call, in our words, as everybody with a key may ask for it. A request that was refused for what
    /// the client sent says nothing about the upstream, so it is not kept.
    pub fn failed(&self, failure: &Failure) {
        if matches!(failure.kind, FailureKind::InvalidRequest | FailureKind::ContextLength) {
            return;
        }
        let error = LastError { message: failure.message.clone(), at: unix_now() };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Notes a call that came to its end.
    pub fn succeeded(&self) {
        self.last_success.store(unix_now(), Ordering::Relaxed);
    }

    /// The last error, also if calls have succeeded since: `at` and `last_success` tell which came later.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Unix seconds of the last call that came to its end.
    pub fn last_success(&self) -> Option<u64> {
        Some(self.last_success.load(Ordering::Relaxed)).filter(|&at| at > 0)
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
