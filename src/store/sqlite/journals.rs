//! The port to journals, on the tables.

use super::SqliteStore;
use super::links::Written;
use super::runs::{self, Ended, Packed};
use crate::core::id::RunId;
use crate::core::journal::Journal;
use crate::core::ports::journals::{
    Batch, Begun, Claimed, Fence, Journals, KeyedRun, Lease, Millis, NewRun, Promise, RunSummary, Tail,
};
use crate::core::ports::store::StoreError;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// To pack more than this would hold up the other runs of the thread.
const PACK_ASIDE: usize = 1 << 20;

impl Journals for SqliteStore {
    fn begin(&self, new: NewRun, lease: Lease) -> BoxFuture<'_, Result<Begun, StoreError>> {
        Box::pin(async move {
            let NewRun { run, principal, response, request, key } = new;
            let response = Written::begun(response, Some(request)).map_err(|fault| self.condition.note(fault))?;
            self.order(Promise::Process, move |tables| {
                runs::begin(tables, run, &principal, &response, key.as_ref(), &lease)
            })
            .await
        })
    }

    fn keyed(&self, principal: &str, key: &str, now: Millis) -> BoxFuture<'_, Result<Option<KeyedRun>, StoreError>> {
        let (principal, key) = (principal.to_owned(), key.to_owned());
        Box::pin(self.ask(move |db| runs::keyed(db, &principal, &key, now)))
    }

    fn append(&self, run: RunId, fence: Fence, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let Batch { at, told, promise, mut end } = batch;
            let mut journal = Journal::default();
            told.into_iter().for_each(|told| journal.push(told));
            if journal.outcome().is_some() {
                let (events, heard) = (journal.len(), end.as_mut().and_then(|end| end.journal.take()));
                let whole = match heard.filter(|heard| heard.len() == at.saturating_add(events)) {
                    Some(heard) => heard,
                    None => Arc::new(self.ask(move |db| runs::whole(db, run, fence, &journal)).await?),
                };
                let ended = match whole.bytes() > PACK_ASIDE {
                    true => self.ask(move |_| Ended::of(&whole, events, end)).await?,
                    false => Ended::of(&whole, events, end).map_err(|fault| self.condition.note(fault))?,
                };
                return self.order(promise, move |tables| runs::end(tables, run, fence, at, &ended)).await;
            }
            let (events, text) = (journal.len(), journal.pack());
            let batch = Packed { at, events, text, is_outcome: promise == Promise::Outcome };
            self.order(promise, move |tables| runs::append(tables, run, fence, &batch)).await
        })
    }

    fn tail(&self, principal: &str, run: RunId, after: u64) -> BoxFuture<'_, Result<Option<Tail>, StoreError>> {
        let principal = principal.to_owned();
        Box::pin(self.ask(move |db| runs::tail(db, &principal, run, after)))
    }

    fn claim(&self, lease: Lease, now: Millis, at_most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(self.order(Promise::Process, move |tables| runs::claim(tables, &lease, now, at_most)))
    }

    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.order(Promise::Process, move |tables| runs::renew(tables, &lease)))
    }

    fn release(&self, run: RunId, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.order(Promise::Process, move |tables| runs::release(tables, run, fence)))
    }

    fn outlives_the_process(&self) -> bool {
        true
    }

    fn runs(
        &self,
        principal: &str,
        before: Option<RunId>,
        at_most: usize,
    ) -> BoxFuture<'_, Result<Vec<RunSummary>, StoreError>> {
        let principal = principal.to_owned();
        Box::pin(self.ask(move |db| runs::list(db, &principal, before, at_most)))
    }
}
