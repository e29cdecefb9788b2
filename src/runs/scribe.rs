//! Tells what happens in a run: numbers each event, writes down what must survive, and then lets the listeners hear it.

use super::live::LiveRun;
use crate::core::event::RunEvent;
use crate::core::journal::{Journal, Told};
use crate::core::ports::store::Store;
use crate::core::run::{Cancel, OnDisconnect};
use crate::dialect::responses::events::Numbering;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Events that may wait for the listener; beyond that nothing is read from the upstream.
const EVENTS_AHEAD: u64 = 64;

/// Bytes of events that are kept of one run. No answer is as long; a model that never stops must not take all memory.
const MAX_TOLD: usize = 64 << 20;

pub struct Scribe {
    live: Arc<LiveRun>,
    store: Arc<dyn Store>,
    /// Of a run that keeps a response; those of others are numbered one by one.
    numbering: Option<Numbering>,
    /// Events told so far.
    told: u64,
    on_disconnect: OnDisconnect,
    slow_client_timeout: Duration,
    shutdown: CancellationToken,
}

impl Scribe {
    pub fn new(
        live: Arc<LiveRun>,
        store: Arc<dyn Store>,
        on_disconnect: OnDisconnect,
        slow_client_timeout: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        let numbering = live.record.as_ref().map(|record| Numbering::new(record.head.clone()));
        Self { live, store, numbering, told: 0, on_disconnect, slow_client_timeout, shutdown }
    }

    fn number(&mut self, event: RunEvent) -> Told {
        let sequence = match &mut self.numbering {
            Some(numbering) => numbering.number(&event),
            None => self.told,
        };
        self.told = self.told.saturating_add(1);
        Told { sequence, event }
    }

    /// Tells an event, and waits for the listener as long as it may be slow. The error says why the run must end.
    pub async fn tell(&mut self, event: RunEvent) -> Result<(), Cancel> {
        let told = self.number(event);
        self.live.log.append(told);
        if self.live.log.read(Journal::bytes) > MAX_TOLD {
            return Err(Cancel::Overflow);
        }
        Ok(())
    }

    /// Waits until the listener has caught up, as long as it may be slow.
    pub async fn keep_pace(&self) -> Result<(), Cancel> {
        // A run that goes on without a listener does not wait for one either.
        if self.on_disconnect == OnDisconnect::Detach {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.live.log.keep_pace(EVENTS_AHEAD) => Ok(()),
            () = self.live.asked.cancelled() => Err(Cancel::Asked),
            () = self.shutdown.cancelled() => Err(Cancel::Shutdown),
            () = sleep(self.slow_client_timeout) => Err(Cancel::SlowClient),
        }
    }

    /// Tells the last event, once what it says is stored. `previous` is the link of a stored chain that the run went on
    /// from.
    pub async fn tell_end(&mut self, event: RunEvent, previous: Option<String>) {
        let told = self.number(event);
        if let Some(record) = &self.live.record {
            let mut journal = self.live.log.read(Journal::clone);
            journal.push(told.clone());
            let stored = record.stored(previous, journal);
            if let Err(error) = self.store.keep_response(&self.live.principal, stored).await {
                tracing::error!(%error, "a response could not be stored; no request can go on from it");
            }
        }
        self.live.log.append(told);
    }
}
