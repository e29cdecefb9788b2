//! One server and its keeper: the task that starts it, follows it, and starts it again.

use super::connection::{Connection, Link, connect};
use super::listing::Listing;
use super::settings::ServerSettings;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Between the end of a server and its next start. It doubles with every failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A server that has been up this long did not fail at its start.
const STEADY: Duration = Duration::from_secs(30);

/// Failures in a row after which what it had offered is no longer offered. Until then the tools of a server that comes
/// back at once do not come and go.
const PATIENCE: u32 = 3;

/// How long a call waits for a server that is being started.
const CALL_WAIT: Duration = Duration::from_secs(5);

/// How long a server has to answer a ping after a call that ran out of time.
const PING_LIMIT: Duration = Duration::from_secs(5);

/// A list that changes is asked for no more often than this.
const LIST_PAUSE: Duration = Duration::from_millis(200);

/// What a server gets to end by itself in.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is being started, for the first time or again.
    Starting,
    Up,
    /// It failed, and is started again after a pause.
    Waiting,
}

/// Why it failed last, and when, in seconds since 1970.
#[derive(Clone, Debug)]
pub struct LastError {
    pub message: String,
    pub at: u64,
}

/// How a server stands.
#[derive(Clone)]
pub struct State {
    pub phase: Phase,
    /// How often it has been started again.
    pub restarts: u64,
    pub last_error: Option<LastError>,
    /// What it offers; of one that is being started again, what it did.
    pub listing: Arc<Listing>,
    connection: Option<Connection>,
}

pub struct Server {
    settings: ServerSettings,
    state: watch::Sender<State>,
    /// Told when a call had no answer.
    doubted: Notify,
    /// Counts the changes of what any server offers.
    version: Arc<AtomicU64>,
}

impl Server {
    pub fn new(settings: ServerSettings, version: Arc<AtomicU64>) -> Self {
        let (listing, connection, last_error) = Default::default();
        let state = State { phase: Phase::Starting, restarts: 0, last_error, listing, connection };
        Self { settings, state: watch::Sender::new(state), doubted: Notify::new(), version }
    }

    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until it is up or has failed once.
    pub async fn tried(&self) {
        let over = |state: &State| state.phase != Phase::Starting || state.restarts > 0;
        // The sender is here, so it cannot be gone.
        let _ = self.state.subscribe().wait_for(over).await;
    }

    /// A connection for a call, waited for shortly. The error is for the model.
    pub async fn connection(&self) -> Result<Connection, String> {
        let mut states = self.state.subscribe();
        let up = timeout(CALL_WAIT, states.wait_for(|state| state.connection.is_some())).await;
        if let Ok(Ok(state)) = up
            && let Some(connection) = &state.connection
        {
            return Ok(connection.clone());
        }
        let why = self.state.borrow().last_error.as_ref().map(|error| format!(": {}", error.message));
        let (name, why) = (&self.settings.name, why.unwrap_or_default());
        Err(format!("The MCP server {name} is not running{why}. It is started again by itself; go on without it."))
    }

    /// A call had no answer: the keeper sees whether the server is still there.
    pub fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Keeps it running until `stop`.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let since = Instant::now();
            let Some(reason) = self.live(&stop).await else { return };
            failures = if since.elapsed() > STEADY { 1 } else { failures.saturating_add(1) };
            self.failed(reason, failures);
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause(failures)) => {}
            }
            self.state.send_modify(|state| {
                state.phase = Phase::Starting;
                state.restarts = state.restarts.saturating_add(1);
            });
        }
    }

    /// From one start to the end after it, and why that came; `None` once it is to stop.
    async fn live(&self, stop: &CancellationToken) -> Option<String> {
        let connected = tokio::select! {
            () = stop.cancelled() => return None,
            connected = connect(&self.settings) => connected,
        };
        let mut link = match connected {
            Ok(link) => link,
            Err(reason) => return Some(reason),
        };
        let reason = tokio::select! {
            reason = self.follow(&mut link) => Some(reason),
            () = stop.cancelled() => None,
        };
        self.state.send_modify(|state| state.connection = None);
        if reason.is_none() {
            link.stop.cancel();
            let _ = timeout(LAST_WORDS, link.ended).await;
        }
        reason
    }

    async fn follow(&self, link: &mut Link) -> String {
        let Link { connection, changed, given_up, ended, .. } = link;
        let listed = tokio::select! {
            reason = &mut *ended => return reason,
            listed = self.list(connection) => listed,
        };
        match listed {
            Ok(listing) => self.is_up(connection.clone(), listing),
            Err(reason) => return reason,
        }
        let tell = async {
            while let Some(id) = given_up.recv().await {
                connection.cancel(id).await;
            }
        };
        let refresh = async {
            loop {
                changed.notified().await;
                sleep(LIST_PAUSE).await;
                match self.list(connection).await {
                    Ok(listing) => self.offer(listing),
                    Err(reason) => self.state.send_modify(|state| state.last_error = Some(LastError::now(reason))),
                }
            }
        };
        let watch = async {
            loop {
                self.doubted.notified().await;
                if !connection.is_alive(PING_LIMIT).await {
                    break;
                }
            }
        };
        let reason = tokio::select! {
            reason = &mut *ended => return reason,
            () = watch => "it answered neither a call nor a ping",
            () = tell => "the connection was closed",
            () = refresh => "",
        };
        // Of one that is about to end, the end is the better reason.
        timeout(LAST_WORDS, ended).await.unwrap_or_else(|_| reason.to_owned())
    }

    async fn list(&self, connection: &Connection) -> Result<Listing, String> {
        let limit = self.settings.start_timeout;
        match timeout(limit, Listing::of(connection, &self.settings)).await {
            Ok(Ok(listing)) => Ok(listing),
            Ok(Err(fault)) => Err(format!("its tools cannot be listed: {fault}")),
            Err(_) => Err(format!("its tools cannot be listed: no answer within {} s", limit.as_secs_f64())),
        }
    }

    fn is_up(&self, connection: Connection, listing: Listing) {
        tracing::info!(server = self.settings.name, tools = listing.tools.len(), "an MCP server is up");
        self.offer(listing);
        self.state.send_modify(|state| {
            state.phase = Phase::Up;
            state.connection = Some(connection);
        });
    }

    fn failed(&self, reason: String, failures: u32) {
        // A server that stays away is told of once more and no more, and one that a request names is its client's affair.
        match self.settings.transport.is_of_a_request() || failures > PATIENCE {
            true => tracing::debug!(server = self.settings.name, reason, failures, "an MCP server failed"),
            false => tracing::warn!(server = self.settings.name, reason, failures, "an MCP server failed"),
        }
        self.state.send_modify(|state| {
            state.phase = Phase::Waiting;
            state.last_error = Some(LastError::now(reason));
        });
        if failures >= PATIENCE {
            self.offer(Listing::default());
        }
    }

    fn offer(&self, listing: Listing) {
        let changed = self.state.send_if_modified(|state| {
            let changed = *state.listing != listing;
            if changed {
                state.listing = Arc::new(listing);
            }
            changed
        });
        if changed {
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

impl LastError {
    fn now(message: String) -> Self {
        Self { message, at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() }
    }
}

/// Before the next start, less a random part of up to a half: servers that failed together do not start together.
fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    // The standard library's only source of randomness; good enough for this.
    let random = RandomState::new().hash_one(()) as u32;
    doubled.mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        for (failures, whole) in [(1, 0.5), (2, 1.0), (5, 8.0), (8, 60.0), (u32::MAX, 60.0)] {
            let pause = pause(failures).as_secs_f64();
            assert!((whole / 2.0..=whole).contains(&pause), "{pause} after {failures}");
        }
    }
}
