//! Tells what happens in a run: numbers each event, has it written down where it must survive, and only then lets the
//! listeners hear it.

use super::live::LiveRun;
use crate::core::event::{Outcome, RunEvent};
use crate::core::id::RunId;
use crate::core::item::Item;
use crate::core::journal::{Journal, Told};
use crate::core::ports::journals::{Batch, Ending, Fence, Promise};
use crate::core::ports::store::{Store, StoreError};
use crate::core::run::{Cancel, OnDisconnect};
use crate::dialect::record::Record;
use crate::dialect::responses::events::Numbering;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Events that may wait for the listener; beyond that nothing is read from the upstream.
const EVENTS_AHEAD: u64 = 64;

/// Events that are written at once, at most. The more there are, the cheaper is each.
const MAX_BATCH: usize = 256;

/// How often the end of a run is offered to a store that is in trouble.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Bytes of events that are kept of one run. No answer is as long; a model that never stops must not take all memory.
const MAX_TOLD: usize = 64 << 20;

pub struct Scribe {
    live: Arc<LiveRun>,
    /// Of a run that keeps a response; those of others are numbered one by one.
    numbering: Option<Numbering>,
    /// Events numbered so far.
    numbered: u64,
    book: Option<Book>,
    pace: Pace,
}

/// How fast a run may go on.
pub struct Pace {
    pub on_disconnect: OnDisconnect,
    pub slow_client_timeout: Duration,
    pub shutdown: CancellationToken,
}

impl Pace {
    /// Of a run that nobody listens to.
    pub fn of_nobody(shutdown: CancellationToken) -> Self {
        Self { on_disconnect: OnDisconnect::Detach, slow_client_timeout: Duration::ZERO, shutdown }
    }
}

/// The journal of a run that outlives its process.
pub struct Book {
    pub store: Arc<dyn Store>,
    pub fence: Fence,
    /// Events that are on record.
    pub written: u64,
    batch: Vec<Told>,
    promise: Promise,
    /// What is being written while the run goes on. There is one such at a time, so that all of it comes in order.
    writing: Option<Writing>,
}

/// A batch on its way to the disk, which nobody has heard yet.
struct Writing {
    told: Vec<Told>,
    promise: Promise,
    /// Never locked: in a mutex it can be part of what is shared, which a future alone cannot.
    done: Mutex<BoxFuture<'static, Result<(), StoreError>>>,
}

impl Writing {
    async fn done(&mut self) -> Result<(), StoreError> {
        self.done.get_mut().unwrap_or_else(PoisonError::into_inner).await
    }
}

impl Book {
    pub fn new(store: Arc<dyn Store>, fence: Fence, written: u64) -> Self {
        Self { store, fence, written, batch: Vec::new(), promise: Promise::Process, writing: None }
    }

    /// Has written what waits for it, unless something is being written already.
    fn begin_to_write(&mut self, run: RunId) {
        if self.writing.is_some() || self.batch.is_empty() {
            return;
        }
        let told = std::mem::take(&mut self.batch);
        let promise = std::mem::replace(&mut self.promise, Promise::Process);
        let (store, fence) = (Arc::clone(&self.store), self.fence);
        let batch = Batch { at: self.written, told: told.clone(), promise, end: None };
        let done = async move { store.append(run, fence, batch).await }.boxed();
        self.writing = Some(Writing { told, promise, done: Mutex::new(done) });
    }

    /// What has been written, once it is. Nothing where nothing is being written.
    fn has_written(&mut self, result: Result<(), StoreError>) -> Result<Vec<Told>, Cancel> {
        let Some(Writing { told, promise, .. }) = self.writing.take() else { return Ok(Vec::new()) };
        if let Err(error) = result {
            tracing::error!(%error, "what a run has told could not be stored, so it ends");
            // Nobody has heard it. It goes on record with the end, or not at all.
            self.batch.splice(..0, told);
            self.promise = self.promise.max(promise);
            return Err(Cancel::Unrecorded);
        }
        self.written = self.written.saturating_add(told.len() as u64);
        Ok(told)
    }
}

impl Scribe {
    pub fn new(live: Arc<LiveRun>, pace: Pace) -> Self {
        let numbering = live.record.as_ref().and_then(Record::numbering);
        Self { live, numbering, numbered: 0, book: None, pace }
    }

    /// From now on what is told is written down first.
    pub fn keep(&mut self, book: Book) {
        self.book = Some(book);
    }

    /// Goes on where a journal ends, which others may hear from its beginning.
    pub fn go_on_after(&mut self, journal: &Journal) {
        for told in journal.told() {
            self.number(told.event.clone());
            self.live.log.append(told);
        }
    }

    fn number(&mut self, event: RunEvent) -> Told {
        let sequence = match &mut self.numbering {
            Some(numbering) => numbering.number(&event),
            None => self.numbered,
        };
        self.numbered = self.numbered.saturating_add(1);
        Told { sequence, event }
    }

    /// Tells an event, or puts it with those that wait to be written. The error says why the run must end.
    pub async fn tell(&mut self, event: RunEvent) -> Result<(), Cancel> {
        let promise = promise_of(&event);
        let told = self.number(event);
        let Some(book) = &mut self.book else {
            self.live.log.append(told);
            return self.keep_pace().await;
        };
        book.promise = book.promise.max(promise);
        book.batch.push(told);
        if book.batch.len() >= MAX_BATCH { self.write().await } else { Ok(()) }
    }

    /// What is told next is about to have effects, so its record must survive a loss of power.
    pub async fn write_before_effects(&mut self) -> Result<(), Cancel> {
        if let Some(book) = &mut self.book {
            book.promise = book.promise.max(Promise::Start);
        }
        self.write().await
    }

    /// Something waits to be written, and nothing is being written.
    pub fn has_to_write(&self) -> bool {
        self.book.as_ref().is_some_and(|book| book.writing.is_none() && !book.batch.is_empty())
    }

    /// Has what waits for it written while the run goes on; [`Scribe::written`] says when it is.
    pub fn begin_to_write(&mut self) {
        let run = self.live.run;
        self.book.iter_mut().for_each(|book| book.begin_to_write(run));
    }

    /// Waits for what is being written, for ever if nothing is. Can be dropped at any time.
    pub async fn written(&mut self) -> Result<(), StoreError> {
        match self.book.as_mut().and_then(|book| book.writing.as_mut()) {
            Some(writing) => writing.done().await,
            None => std::future::pending().await,
        }
    }

    /// Tells what has been written.
    pub async fn tell_written(&mut self, result: Result<(), StoreError>) -> Result<(), Cancel> {
        let Some(book) = &mut self.book else { return Ok(()) };
        let told = book.has_written(result)?;
        told.into_iter().for_each(|told| self.live.log.append(told));
        self.keep_pace().await
    }

    /// Writes all that waits for it, and tells it.
    pub async fn write(&mut self) -> Result<(), Cancel> {
        loop {
            self.begin_to_write();
            if self.book.as_ref().is_none_or(|book| book.writing.is_none()) {
                return Ok(());
            }
            let result = self.written().await;
            self.tell_written(result).await?;
        }
    }

    /// Waits until the listener has caught up, as long as it may be slow.
    async fn keep_pace(&self) -> Result<(), Cancel> {
        let log = &self.live.log;
        if log.read(Journal::bytes) > MAX_TOLD {
            return Err(Cancel::Overflow);
        }
        // A run that goes on without a listener does not wait for one either.
        if self.pace.on_disconnect == OnDisconnect::Detach || !log.is_ahead(EVENTS_AHEAD) {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = log.keep_pace(EVENTS_AHEAD) => Ok(()),
            () = self.live.asked.cancelled() => Err(Cancel::Asked),
            () = self.pace.shutdown.cancelled() => Err(Cancel::Shutdown),
            () = sleep(self.pace.slow_client_timeout) => Err(Cancel::SlowClient),
        }
    }

    /// Waits for what is being written, which must be before the end is told.
    pub async fn end_writing(&mut self) -> Result<(), Cancel> {
        let Some(book) = self.book.as_mut() else { return Ok(()) };
        let Some(writing) = book.writing.as_mut() else { return Ok(()) };
        let result = writing.done().await;
        book.has_written(result)?.into_iter().for_each(|told| self.live.log.append(told));
        Ok(())
    }

    /// Tells the last event, once what it says is stored. `previous` is the link of a stored chain that the run went on
    /// from, `turn` what it has its conversation's head with.
    pub async fn tell_end(&mut self, outcome: Outcome, previous: Option<String>, turn: Option<Fence>) {
        let told = self.number(RunEvent::Finished { outcome: outcome.clone() });
        let (Some(mut book), Some(record)) = (self.book.take(), &self.live.record) else {
            return self.live.log.append(told);
        };
        book.batch.push(told);
        let mut journal = self.live.log.read(Journal::clone);
        book.batch.iter().cloned().for_each(|told| journal.push(told));
        let ending = record.ending(previous, turn, &outcome, !journal.items().is_empty());
        let end = Some(Ending { journal: Some(Arc::new(journal)), ..ending });
        let batch = Batch { at: book.written, told: book.batch.clone(), promise: Promise::Outcome, end };
        let written = self.store_end(&*book.store, book.fence, &batch).await;
        book.batch.into_iter().for_each(|told| self.live.log.append(told));
        if let Err(error) = written {
            tracing::error!(%error, "the end of a run could not be stored");
            self.live.has_ended();
            self.store_later(&*book.store, book.fence, batch, error).await;
        }
    }

    /// Where another process has the conversation by now, the response stands alone, as if that was gone.
    async fn store_end(&self, store: &dyn Store, fence: Fence, batch: &Batch) -> Result<(), StoreError> {
        let stored = store.append(self.live.run, fence, batch.clone()).await;
        let lost = |end: &Ending| end.conversation.is_some() && stored == Err(StoreError::Fenced);
        let Some(end) = batch.end.clone().filter(lost) else { return stored };
        let alone = Batch { end: Some(Ending { conversation: None, ..end }), ..batch.clone() };
        store.append(self.live.run, fence, alone).await
    }

    /// Writes what was told of the end as soon as the store can take it. Until then the run stands among those in
    /// flight, where whoever has its id finds it.
    async fn store_later(&self, store: &dyn Store, fence: Fence, batch: Batch, mut error: StoreError) {
        // Any other error is the same the next time.
        while matches!(error, StoreError::Failed(_)) {
            tokio::select! {
                () = self.pace.shutdown.cancelled() => return,
                () = sleep(TRY_AGAIN) => {}
            }
            match self.store_end(store, fence, &batch).await {
                Ok(()) => return tracing::info!("the end of a run is stored now"),
                Err(again) => error = again,
            }
        }
    }

    /// Leaves the run as it is on record, for another process to go on with.
    pub async fn leave(mut self) {
        let Some(book) = self.book.take() else { return };
        self.live.log.leave();
        if let Err(error) = book.store.release(self.live.run, book.fence).await {
            tracing::error!(%error, "a run could not be given back");
        }
    }

    /// The run is on record, so another process can go on with it.
    pub fn can_be_left(&self) -> bool {
        self.book.as_ref().is_some_and(|book| book.store.outlives_the_process())
    }
}

/// What must survive of an event. What a tool or a model call has come to is dear, words are not.
fn promise_of(event: &RunEvent) -> Promise {
    match event {
        RunEvent::StepDone { .. } | RunEvent::Waiting { .. } | RunEvent::Finished { .. } => Promise::Outcome,
        RunEvent::ItemDone { item, .. } if matches!(item.as_ref(), Item::ToolOutput(_)) => Promise::Outcome,
        _ => Promise::Process,
    }
}
