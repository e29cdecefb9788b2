//! What a server may send: so much, so fast. A flood is slowed down or lost here, before a task is made of any of it.

use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Bytes of the largest message that is taken. An image or a file may well have some.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Messages that may come at once, and each second after that. A server that is faster has to wait.
const MESSAGES: (f64, f64) = (4096.0, 1024.0);

/// The same for progress and log lines. What is over that is lost: nobody could have read it.
const CHATTER: (f64, f64) = (128.0, 32.0);

/// Questions of the server whose answers it has not taken yet.
const MAX_UNANSWERED: usize = 64;

/// Why a connection was given up, where we did that. The first reason stands.
pub type Fault = Arc<OnceLock<String>>;

/// How much may be taken: a store that fills up again with time.
pub struct Budget {
    left: f64,
    capacity: f64,
    per_second: f64,
    at: Instant,
}

impl Budget {
    pub fn new((capacity, per_second): (f64, f64)) -> Self {
        Self { left: capacity, capacity, per_second, at: Instant::now() }
    }

    /// Takes so much if anything is left, and else says how long to wait until something is.
    pub fn take(&mut self, amount: f64) -> Result<(), Duration> {
        self.take_at(Instant::now(), amount)
    }

    fn take_at(&mut self, now: Instant, amount: f64) -> Result<(), Duration> {
        let filled = (now - self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + filled).min(self.capacity);
        self.at = now;
        if self.left <= 0.0 {
            return Err(Duration::from_secs_f64((1.0 - self.left) / self.per_second));
        }
        self.left -= amount;
        Ok(())
    }
}

/// A transport whose other side is held to the limits.
pub struct Guarded<T> {
    inner: T,
    messages: Budget,
    chatter: Budget,
    /// A message whose time has not come. `receive` is dropped and called again, so it must not be on its stack.
    held: Option<RxJsonRpcMessage<RoleClient>>,
    unanswered: Arc<AtomicUsize>,
    fault: Fault,
}

impl<T> Guarded<T> {
    pub fn new(inner: T, fault: Fault) -> Self {
        let (messages, chatter) = (Budget::new(MESSAGES), Budget::new(CHATTER));
        Self { inner, messages, chatter, held: None, unanswered: Arc::default(), fault }
    }

    /// Whether a message goes on to be handled.
    fn lets_in(&mut self, message: &RxJsonRpcMessage<RoleClient>) -> bool {
        let JsonRpcMessage::Notification(notification) = message else { return true };
        let is_chatter = !matches!(
            notification.notification,
            ServerNotification::ToolListChangedNotification(_)
                | ServerNotification::ResourceListChangedNotification(_)
                | ServerNotification::PromptListChangedNotification(_)
        );
        !is_chatter || self.chatter.take(1.0).is_ok()
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Guarded<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answers = matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_));
        let unanswered = Arc::clone(&self.unanswered);
        let sending = self.inner.send(message);
        async move {
            let sent = sending.await;
            if answers {
                let less = |count: usize| Some(count.saturating_sub(1));
                let _ = unanswered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if self.held.is_none() {
                self.held = Some(self.inner.receive().await?);
            }
            if let Err(wait) = self.messages.take(1.0) {
                sleep(wait).await;
                continue;
            }
            let message = self.held.take()?;
            if let JsonRpcMessage::Request(_) = message
                && self.unanswered.fetch_add(1, Ordering::Relaxed) >= MAX_UNANSWERED
            {
                let _ = self.fault.set("it asks and asks, and takes no answers".to_owned());
                return None;
            }
            if self.lets_in(&message) {
                return Some(message);
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_fills_up_again_to_what_it_holds() {
        let mut budget = Budget::new((2.0, 1.0));
        let start = budget.at;
        let mut take = |second: u64, amount| budget.take_at(start + Duration::from_secs(second), amount);
        assert_eq!([take(0, 1.0), take(0, 5.0)], [Ok(()), Ok(())]);
        assert_eq!([take(0, 1.0), take(4, 1.0)], [Err(Duration::from_secs(5)), Err(Duration::from_secs(1))]);
        assert_eq!([take(5, 1.0), take(3600, 2.0)], [Ok(()), Ok(())]);
        assert_eq!(take(3600, 1.0), Err(Duration::from_secs(1)));
    }
}
