//! What a client has said on a WebSocket ahead of the answers.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages that may wait while another is answered.
pub const MAX_WAITING: usize = 8;

/// Messages whose turn has not come.
pub struct Waiting {
    line: Mutex<Line>,
    /// Bytes that all of them may have together, unless it is one alone.
    max_bytes: usize,
    came: Notify,
}

#[derive(Default)]
struct Line {
    /// The first of them first.
    messages: VecDeque<Bytes>,
    /// One is being answered. While there is none, the next does not count as waiting.
    busy: bool,
}

impl Waiting {
    pub fn up_to(max_bytes: usize) -> Self {
        Self { line: Mutex::default(), max_bytes, came: Notify::new() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the message back if it does not fit in.
    pub fn push(&self, message: Bytes) -> Result<(), Bytes> {
        let mut line = self.line();
        let places = MAX_WAITING.saturating_add(usize::from(!line.busy));
        let bytes = line.messages.iter().chain([&message]).map(Bytes::len).fold(0, usize::saturating_add);
        if line.messages.len() >= places || (bytes > self.max_bytes && !line.messages.is_empty()) {
            return Err(message);
        }
        line.messages.push_back(message);
        self.came.notify_one();
        Ok(())
    }

    /// The next one, for the one that answers and has none in hand. Can be dropped at any time.
    pub async fn next(&self) -> Bytes {
        self.line().busy = false;
        loop {
            if let Some(message) = self.line().take() {
                return message;
            }
            self.came.notified().await;
        }
    }
}

impl Line {
    fn take(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.busy = true;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn taken(waiting: &Waiting, messages: &[&'static str]) -> usize {
        messages.iter().filter(|message| waiting.push(Bytes::from_static(message.as_bytes())).is_ok()).count()
    }

    fn next(waiting: &Waiting) -> Option<Bytes> {
        waiting.next().now_or_never()
    }

    #[test]
    fn so_many_may_wait_besides_the_one_in_hand() {
        let waiting = Waiting::up_to(100);
        assert_eq!(taken(&waiting, &["a"; 20]), MAX_WAITING + 1, "the first one does not wait");
        assert_eq!(next(&waiting), Some("a".into()));
        assert_eq!(taken(&waiting, &["b"; 20]), 0);
        assert_eq!(next(&waiting), Some("a".into()));
        assert_eq!(taken(&waiting, &["b"; 20]), 1);
        let rest: Vec<Bytes> = std::iter::from_fn(|| next(&waiting)).collect();
        assert_eq!((rest.len(), rest.last()), (MAX_WAITING, Some(&"b".into())));
        assert_eq!(taken(&waiting, &["c"; 20]), MAX_WAITING + 1);
    }

    #[test]
    fn their_bytes_are_bounded_but_one_alone_always_fits() {
        let waiting = Waiting::up_to(5);
        assert_eq!(taken(&waiting, &["too long", "x"]), 1);
        assert_eq!(next(&waiting), Some("too long".into()));
        assert_eq!(taken(&waiting, &["abc", "def", "gh", "i"]), 2);
        assert_eq!((next(&waiting), next(&waiting), next(&waiting)), (Some("abc".into()), Some("gh".into()), None));
    }
}
