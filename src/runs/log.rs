//! What a run has told so far, and those who listen: any number, from any place on, each at its own pace.

use crate::core::event::RunEvent;
use crate::core::journal::{Cursor, Journal, Told};
use crate::core::run::OnDisconnect;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The log of one run. The run appends, [`Listener`]s read.
#[derive(Debug, Default)]
pub struct RunLog {
    state: Mutex<State>,
    /// Something was appended, or the log was closed.
    told: Notify,
    /// All has been told, or the run waits to be heard: a listener that pauses must not pause any longer.
    pressing: Notify,
    /// A listener has read as far as the run waits for, or none is left to read. The run alone waits for that.
    heard: Notify,
    /// A listener has come or gone. The run alone waits for that too.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    journal: Journal,
    closed: Option<Instant>,
    /// The run goes on elsewhere, so its end will not be told here.
    left: bool,
    /// How far each listener is, by its number.
    listeners: Vec<(u64, u64)>,
    next_listener: u64,
    /// The run waits until the foremost listener has at most so many events before it. Nobody else needs to be woken for
    /// each event that is read.
    awaited: Option<u64>,
    /// When the last listener left; `None` while there is one, or before the first.
    left_at: Option<Instant>,
}

/// One reader of a run. While there is one the run is not taken for abandoned.
#[derive(Debug)]
pub struct Listener {
    log: Arc<RunLog>,
    number: u64,
    cursor: Cursor,
}

impl RunLog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn append(&self, told: Told) {
        let is_end = matches!(told.event, RunEvent::Finished { .. });
        self.lock().journal.push(told);
        self.told.notify_waiters();
        if is_end {
            self.pressing.notify_waiters();
        }
    }

    /// Nothing more will be told.
    pub fn close(&self) {
        self.close_as(false);
    }

    /// Nothing more will be told here, but by another process.
    pub fn leave(&self) {
        self.close_as(true);
    }

    fn close_as(&self, left: bool) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(Instant::now);
        state.left |= left;
        drop(state);
        self.told.notify_waiters();
        self.pressing.notify_waiters();
    }

    /// It goes on, or was closed no longer ago than this.
    pub fn is_recent(&self, time: Duration) -> bool {
        self.lock().closed.is_none_or(|closed| closed.elapsed() < time)
    }

    /// Nobody listens at the moment.
    pub fn is_deserted(&self) -> bool {
        self.lock().listeners.is_empty()
    }

    pub fn is_left(&self) -> bool {
        self.lock().left
    }

    /// What has been told so far.
    pub fn read<T>(&self, read: impl FnOnce(&Journal) -> T) -> T {
        read(&self.lock().journal)
    }

    /// Listens from the first event on.
    pub fn listen(self: &Arc<Self>) -> Listener {
        let mut state = self.lock();
        let number = state.next_listener;
        state.next_listener = number.saturating_add(1);
        state.listeners.push((number, 0));
        state.left_at = None;
        drop(state);
        self.moved.notify_one();
        Listener { log: Arc::clone(self), number, cursor: Cursor::default() }
    }

    /// The listener that is ahead of the others has more than so many events before it.
    pub fn is_ahead(&self, ahead: u64) -> bool {
        self.lock().lag() > ahead
    }

    /// Waits until the listener that is ahead of the others has at most `ahead` events before it, or there is none.
    pub async fn keep_pace(&self, ahead: u64) {
        while self.lock().is_behind(ahead) {
            self.pressing.notify_waiters();
            self.heard.notified().await;
        }
    }

    /// Waits until nobody listens and the run is to end for that.
    pub async fn abandoned(&self, policy: OnDisconnect) {
        loop {
            let left_at = self.lock().left_at;
            match (policy, left_at) {
                (OnDisconnect::Detach, _) => return std::future::pending().await,
                (_, None) => self.moved.notified().await,
                (OnDisconnect::Cancel, Some(_)) => return,
                (OnDisconnect::Grace(time), Some(left_at)) => {
                    let Some(end) = left_at.checked_add(time) else { return std::future::pending().await };
                    tokio::select! {
                        () = sleep_until(end) => return,
                        () = self.moved.notified() => {}
                    }
                }
            }
        }
    }
}

impl State {
    fn is_pressing(&self) -> bool {
        self.awaited.is_some() || self.closed.is_some() || self.journal.outcome().is_some()
    }

    /// Says so, and has the run woken once that is over.
    fn is_behind(&mut self, ahead: u64) -> bool {
        let is_behind = self.lag() > ahead;
        self.awaited = is_behind.then_some(ahead);
        is_behind
    }

    /// Whether the run is to be woken.
    fn has_caught_up(&mut self) -> bool {
        let caught_up = self.awaited.is_some_and(|ahead| self.lag() <= ahead);
        self.awaited = self.awaited.filter(|_| !caught_up);
        caught_up
    }

    fn lag(&self) -> u64 {
        let front = self.listeners.iter().map(|(_, at)| *at).max();
        front.map_or(0, |front| self.journal.len().saturating_sub(front))
    }
}

impl Listener {
    /// Listens to a run that is over.
    pub fn to_journal(journal: Arc<Journal>) -> Self {
        let state = State { journal: Journal::clone(&journal), closed: Some(Instant::now()), ..State::default() };
        Arc::new(RunLog { state: Mutex::new(state), ..RunLog::default() }).listen()
    }

    /// What this listens to.
    pub fn log(&self) -> Arc<RunLog> {
        Arc::clone(&self.log)
    }

    /// The next event; `None` once everything has been told. Can be dropped at any time.
    pub async fn next(&mut self) -> Option<Told> {
        let log = Arc::clone(&self.log);
        loop {
            // Made before the look, so that what is told in between wakes it.
            let told = log.told.notified();
            match self.take() {
                Ok(told) => return told,
                Err(NotYet) => told.await,
            }
        }
    }

    /// Waits until all has been told, or the run waits to be heard, whatever is told meanwhile. Can be dropped at any
    /// time.
    pub async fn pause(&self) {
        // Made before the look, so that what becomes pressing in between wakes it.
        let pressing = self.log.pressing.notified();
        if !self.log.lock().is_pressing() {
            pressing.await;
        }
    }

    /// The next event, for one who does not care for it before all are there.
    pub async fn next_at_leisure(&mut self) -> Option<Told> {
        if let Some(told) = self.ready() {
            return Some(told);
        }
        self.pause().await;
        self.next().await
    }

    /// The next event, if it was told already.
    pub fn ready(&mut self) -> Option<Told> {
        self.take().unwrap_or_default()
    }

    fn take(&mut self) -> Result<Option<Told>, NotYet> {
        let mut state = self.log.lock();
        let Some(told) = state.journal.next(&mut self.cursor) else {
            return if state.closed.is_some() { Ok(None) } else { Err(NotYet) };
        };
        if let Some((_, at)) = state.listeners.iter_mut().find(|(number, _)| *number == self.number) {
            *at = self.cursor.at;
        }
        let caught_up = state.has_caught_up();
        drop(state);
        if caught_up {
            self.log.heard.notify_one();
        }
        Ok(Some(told))
    }
}

/// Nothing has been told since the last look.
struct NotYet;

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        state.listeners.retain(|(number, _)| *number != self.number);
        if state.listeners.is_empty() {
            state.left_at = Some(Instant::now());
        }
        let caught_up = state.has_caught_up();
        drop(state);
        self.log.moved.notify_one();
        if caught_up {
            self.log.heard.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{Delta, Outcome};
    use std::pin::pin;

    fn word(sequence: u64) -> Told {
        Told { sequence, event: RunEvent::Delta { index: 0, delta: Delta::Text("a".into()) } }
    }

    #[tokio::test]
    async fn listeners_come_at_any_time_and_hear_everything_once() {
        let log = Arc::new(RunLog::default());
        let mut early = log.listen();
        log.append(word(0));
        assert_eq!(early.next().await, Some(word(0)));
        log.append(word(1));
        let mut late = log.listen();
        log.append(word(5));
        log.close();
        for expected in [Some(word(1)), Some(word(5)), None] {
            assert_eq!(early.next().await, expected);
        }
        for expected in [Some(word(0)), Some(word(1)), Some(word(5)), None] {
            assert_eq!(late.next().await, expected);
        }
    }

    #[tokio::test]
    async fn the_fastest_listener_sets_the_pace_and_without_one_there_is_none() {
        let log = Arc::new(RunLog::default());
        let (mut fast, slow) = (log.listen(), log.listen());
        (0..5).for_each(|sequence| log.append(word(sequence)));
        let waits = async |log: &RunLog| futures_util::poll!(pin!(log.keep_pace(3))).is_pending();
        assert!(waits(&log).await);
        for _ in 0..2 {
            fast.next().await;
        }
        assert!(!waits(&log).await);
        drop(fast);
        assert!(waits(&log).await, "the slow one is the fastest now");
        drop(slow);
        assert!(!waits(&log).await);
    }

    #[tokio::test]
    async fn a_listener_pauses_until_the_end_or_until_the_run_waits_for_it() {
        let log = Arc::new(RunLog::default());
        let mut listener = log.listen();
        let pauses = async |listener: &Listener| futures_util::poll!(pin!(listener.pause())).is_pending();
        (0..5).for_each(|sequence| log.append(word(sequence)));
        assert!(pauses(&listener).await);
        let mut pace = pin!(log.keep_pace(3));
        assert!(futures_util::poll!(pace.as_mut()).is_pending() && !pauses(&listener).await);
        listener.next().await;
        assert!(futures_util::poll!(pace.as_mut()).is_pending(), "four are before it");
        listener.next().await;
        assert!(futures_util::poll!(pace.as_mut()).is_ready() && pauses(&listener).await);
        let end = RunEvent::Finished { outcome: Outcome::Completed };
        log.append(Told { sequence: 5, event: end });
        assert!(!pauses(&listener).await);
        let mut rest = async || listener.next_at_leisure().await.map(|told| told.sequence);
        assert_eq!([rest().await, rest().await, rest().await, rest().await], [Some(2), Some(3), Some(4), Some(5)]);
    }

    #[tokio::test]
    async fn a_run_is_abandoned_as_its_policy_says() {
        let log = Arc::new(RunLog::default());
        let waits = async |policy| futures_util::poll!(pin!(log.abandoned(policy))).is_pending();
        let (short, long) = (OnDisconnect::Grace(Duration::ZERO), OnDisconnect::Grace(Duration::from_secs(3600)));
        let listener = log.listen();
        assert!(waits(OnDisconnect::Cancel).await && waits(short).await);
        drop(listener);
        assert!(waits(OnDisconnect::Detach).await && waits(long).await);
        log.abandoned(OnDisconnect::Cancel).await;
        log.abandoned(short).await;
        let _back = log.listen();
        assert!(waits(OnDisconnect::Cancel).await && waits(short).await);
    }
}
