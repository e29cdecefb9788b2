//! What belongs to this process, for as long as it shows that it is alive: its runs, and the heads of the conversations
//! whose turns are here.

use crate::core::ports::conversations::Taken;
use crate::core::ports::journals::{Fence, Lease, Millis};
use crate::core::ports::store::{Store, StoreError};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long a process may say nothing before another one may take what it has over.
const LEASE: Duration = Duration::from_secs(30);

/// How often a head is asked for that another process has, at first and after a while.
const ASK_AGAIN: Duration = Duration::from_millis(20);
const ASK_SELDOM: Duration = Duration::from_secs(1);

pub struct Leases {
    store: Arc<dyn Store>,
    /// Names this process.
    owner: Arc<str>,
    tracker: TaskTracker,
}

/// The head of a conversation, until this is dropped.
pub struct Head {
    leases: Arc<Leases>,
    principal: Arc<str>,
    conversation: String,
    pub fence: Fence,
    taken: Instant,
    runtime: Handle,
}

impl Leases {
    pub fn new(store: Arc<dyn Store>, tracker: TaskTracker) -> Self {
        Self { store, owner: Uuid::now_v7().to_string().into(), tracker }
    }

    /// Owned by this process from now on.
    pub fn lease(&self) -> Lease {
        let until = now().saturating_add(LEASE.as_millis() as u64);
        Lease { owner: Arc::clone(&self.owner), until }
    }

    /// Shows that this process is alive, for as long as it is.
    pub async fn keep(&self) {
        loop {
            sleep(LEASE / 3).await;
            if let Err(error) = self.store.renew(self.lease()).await {
                tracing::error!(%error, "the leases of the runs could not be renewed");
            }
        }
    }

    /// The head of a conversation, as soon as no other process has it; `None` if there is no such conversation.
    pub async fn take_head(
        self: &Arc<Self>,
        principal: &Arc<str>,
        conversation: &str,
    ) -> Result<Option<Head>, StoreError> {
        let (mut reply, taken) = oneshot::channel();
        let (leases, principal, conversation) = (Arc::clone(self), Arc::clone(principal), conversation.to_owned());
        // In a task of its own: where nobody waits for it any more, what was taken is given back.
        self.tracker.spawn(async move {
            let mut pause = ASK_AGAIN;
            let taken = loop {
                match leases.store.take_head(&principal, &conversation, leases.lease(), now()).await {
                    Err(error) => break Err(error),
                    Ok(None) => break Ok(None),
                    Ok(Some(Taken::Taken(fence))) => {
                        let (taken, runtime) = (Instant::now(), Handle::current());
                        break Ok(Some(Head { leases, principal, conversation, fence, taken, runtime }));
                    }
                    Ok(Some(Taken::Held { .. })) => {}
                }
                tokio::select! {
                    () = reply.closed() => return,
                    () = sleep(pause) => pause = pause.saturating_mul(2).min(ASK_SELDOM),
                }
            };
            drop(reply.send(taken));
        });
        taken.await.map_err(|_| StoreError::Failed("the process ends".to_owned()))?
    }
}

impl Head {
    /// It need not be asked for anew whether another process has taken it since.
    pub fn is_fresh(&self) -> bool {
        self.taken.elapsed() < LEASE / 2
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let (store, fence) = (Arc::clone(&self.leases.store), self.fence);
        let (principal, conversation) = (Arc::clone(&self.principal), std::mem::take(&mut self.conversation));
        let give_back = async move {
            match store.give_head_back(&principal, &conversation, fence).await {
                // This process has taken it anew, or it is gone.
                Ok(()) | Err(StoreError::Fenced) => {}
                Err(error) => tracing::error!(%error, "a conversation could not be given back"),
            }
        };
        self.leases.tracker.spawn_on(give_back, &self.runtime);
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
