//! How long the reader of an answer waits for more of it. Counts waiting alone: the reader may itself be slow.

use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often over a server that sends only signs of life may take the time of one that is silent.
const SIGNS_OF_LIFE: u32 = 10;

/// How long usage and `[DONE]` may lag behind a finish reason. The answer is complete without them.
const LAG: Duration = Duration::from_secs(5);

/// What is left of the time for an answer.
pub struct Patience {
    idle_timeout: Duration,
    /// For the next piece of the body, be it a comment.
    piece: Duration,
    /// For each one after it.
    silence: Duration,
    /// For all of them together, up to the next event.
    event: Duration,
    complete: bool,
}

/// The server took too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overdue {
    #[error("sent nothing for {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It sent comments, or parts of an event that it does not end.
    #[error("sent nothing of its answer for {} s", .0.as_secs_f64())]
    Empty(Duration),
}

impl Patience {
    /// `spent`: how much of `first_byte_timeout` has gone by already.
    pub fn new(first_byte_timeout: Duration, spent: Duration, idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            piece: first_byte_timeout.saturating_sub(spent),
            silence: first_byte_timeout,
            event: first_byte_timeout.saturating_mul(SIGNS_OF_LIFE).saturating_sub(spent),
            complete: false,
        }
    }

    /// Something of the answer has come.
    pub fn renew(&mut self) {
        if !self.complete {
            (self.piece, self.silence) = (self.idle_timeout, self.idle_timeout);
            self.event = self.idle_timeout.saturating_mul(SIGNS_OF_LIFE);
        }
    }

    /// The finish reason has come: from now on nothing renews the time.
    pub fn complete(&mut self) {
        if !self.complete {
            self.renew();
            self.event = self.idle_timeout.min(LAG);
            self.complete = true;
        }
    }

    /// Waits for the next piece of the body.
    pub async fn wait<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, Overdue> {
        let start = Instant::now();
        let limit = self.piece.min(self.event);
        let come = timeout(limit, piece).await;
        let overdue = if limit == self.piece {
            Overdue::Silent(self.silence)
        } else {
            Overdue::Empty(self.silence.saturating_mul(SIGNS_OF_LIFE))
        };
        self.event = self.event.saturating_sub(start.elapsed());
        self.piece = self.silence;
        come.map_err(|_| overdue)
    }
}
