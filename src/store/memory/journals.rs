//! The journals of runs, in memory. They end with the process, so nobody ever takes a run over from another; the lease
//! and the fence are kept all the same, because whoever drives a run relies on them.

use super::MemoryStore;
use crate::core::id::RunId;
use crate::core::journal::Journal;
use crate::core::ports::journals::{
    Batch, Begun, Claimed, Ending, Fence, IdempotencyKey, Journals, KeyedRun, Lease, Millis, NewRun, Promise,
    RunSummary, Tail,
};
use crate::core::ports::store::{StoreError, StoredResponse};
use futures_util::future::{BoxFuture, FutureExt, ready};
use lru::LruCache;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Keys that are remembered, of all principals together.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// Runs that are over are looked through for those that are forgotten when there are twice as many as were left last
/// time, and never below this.
const FEW: usize = 1024;

pub struct Runs {
    /// Runs in progress: as many as are admitted.
    going: BTreeMap<RunId, Going>,
    /// Whose the runs are that are over, and the ids of their responses.
    over: BTreeMap<RunId, (Arc<str>, String)>,
    /// How many of those there may be before the forgotten ones are looked for.
    sweep_at: usize,
    keys: LruCache<(Arc<str>, String), Key>,
}

struct Going {
    principal: Arc<str>,
    /// With the journal so far.
    response: StoredResponse,
    request: String,
    /// `None` once it was given back.
    lease: Option<Lease>,
    fence: Fence,
    claims: u32,
}

struct Key {
    stands_for: KeyedRun,
    until: Millis,
}

impl Default for Runs {
    fn default() -> Self {
        Self { going: BTreeMap::new(), over: BTreeMap::new(), sweep_at: FEW, keys: LruCache::new(MAX_KEYS) }
    }
}

impl Runs {
    fn begin(&mut self, new: NewRun, lease: Lease) -> Result<Begun, StoreError> {
        let NewRun { run, principal, response, request, key } = new;
        if self.going.contains_key(&run) || self.over.contains_key(&run) {
            return Err(StoreError::Failed(format!("{run} has begun already")));
        }
        if let Some(IdempotencyKey { key, body, now, until }) = key {
            let name = (Arc::clone(&principal), key);
            if let Some(taken) = self.keys.get(&name).filter(|key| key.until > now) {
                return Ok(Begun::Taken(taken.stands_for.clone()));
            }
            let stands_for = KeyedRun { run, id: response.id.clone(), body };
            self.keys.put(name, Key { stands_for, until });
        }
        let fence = Fence(1);
        self.going.insert(run, Going { principal, response, request, lease: Some(lease), fence, claims: 0 });
        Ok(Begun::Begun(fence))
    }

    /// The run, if it still belongs to the one with this fence.
    fn held(&mut self, run: RunId, fence: Fence) -> Result<&mut Going, StoreError> {
        self.going.get_mut(&run).filter(|going| going.fence == fence).ok_or(StoreError::Fenced)
    }

    /// Gives back what is to be kept, if this ended the run. `check` refuses who does not have the head of a principal's
    /// conversation any more.
    fn append(
        &mut self,
        run: RunId,
        fence: Fence,
        batch: Batch,
        check: impl Fn(&str, &str, Fence) -> Result<(), StoreError>,
    ) -> Result<Option<(Arc<str>, StoredResponse)>, StoreError> {
        let going = self.held(run, fence)?;
        if going.response.journal.len() != batch.at {
            return Err(StoreError::Misplaced(going.response.journal.len()));
        }
        if let Some(Ending { conversation: Some((id, fence)), .. }) = &batch.end {
            check(&going.principal, id, *fence)?;
        }
        let journal = Arc::make_mut(&mut going.response.journal);
        batch.told.into_iter().for_each(|told| journal.push(told));
        if batch.promise == Promise::Outcome {
            going.claims = 0;
        }
        if journal.outcome().is_none() {
            return Ok(None);
        }
        if let Some(Ending { at, previous, conversation, .. }) = batch.end {
            let conversation = conversation.map(|(id, _)| id);
            going.response = StoredResponse { ended_at: Some(at), previous, conversation, ..going.response.clone() };
        }
        Ok(self.going.remove(&run).map(|going| {
            self.over.insert(run, (Arc::clone(&going.principal), going.response.id.clone()));
            (going.principal, with_output(going.response))
        }))
    }

    fn claim(&mut self, lease: &Lease, now: Millis, at_most: usize) -> Vec<Claimed> {
        let is_over = |held: &Lease| held.until <= now && held.owner != lease.owner;
        let is_left = |going: &Going| going.lease.as_ref().is_none_or(is_over);
        let left = self.going.iter_mut().filter(|(_, going)| is_left(going));
        let claim = |(run, going): (&RunId, &mut Going)| {
            going.lease = Some(lease.clone());
            going.fence = Fence(going.fence.0.saturating_add(1));
            going.claims = going.claims.saturating_add(1);
            Claimed {
                run: *run,
                principal: Arc::clone(&going.principal),
                fence: going.fence,
                response: with_output(going.response.clone()),
                request: going.request.clone(),
                claims: going.claims,
            }
        };
        left.take(at_most).map(claim).collect()
    }

    /// Forgets the runs whose responses are not kept any more.
    fn sweep(&mut self, is_kept: impl Fn(&str, &str) -> bool) {
        if self.over.len() >= self.sweep_at {
            self.over.retain(|_, (principal, id)| is_kept(principal, id));
            self.sweep_at = self.over.len().saturating_mul(2).max(FEW);
        }
    }
}

fn with_output(response: StoredResponse) -> StoredResponse {
    StoredResponse { output: response.journal.items().into(), ..response }
}

fn summary(run: RunId, response: &StoredResponse) -> RunSummary {
    RunSummary {
        run,
        id: response.id.clone(),
        head: response.head.clone(),
        outcome: response.journal.outcome().cloned(),
        ended_at: response.ended_at,
    }
}

fn tail(journal: &Journal, after: u64) -> Tail {
    Tail { journal: journal.from(after), ended: journal.outcome().is_some() }
}

impl MemoryStore {
    fn each_head(&self, change: impl Fn(&mut Option<Lease>)) {
        self.archives().values_mut().flat_map(|archive| archive.conversations.leases()).for_each(change);
    }

    /// The response of a run that is over.
    fn response_of(&self, principal: &str, run: RunId) -> Option<Arc<StoredResponse>> {
        let (_, id) = self.journals().over.get(&run).filter(|(owner, _)| **owner == *principal)?.clone();
        self.find(principal, &id)
    }

    fn list(&self, principal: &str, before: Option<RunId>, at_most: usize) -> Vec<RunSummary> {
        let is_before = |run: &RunId| before.is_none_or(|before| *run < before);
        let runs = self.journals();
        let going = runs.going.iter().filter(|(run, going)| is_before(run) && *going.principal == *principal);
        let mut going: Vec<_> = going.map(|(run, going)| summary(*run, &going.response)).rev().take(at_most).collect();
        let over = runs.over.iter().filter(|(run, (owner, _))| is_before(run) && **owner == *principal).rev();
        let over = over.filter_map(|(run, (_, id))| Some(summary(*run, self.look_at(principal, id)?.as_ref())));
        going.extend(over.take(at_most));
        going.sort_by_key(|summary| std::cmp::Reverse(summary.run));
        going.truncate(at_most);
        going
    }
}

impl Journals for MemoryStore {
    fn begin(&self, run: NewRun, lease: Lease) -> BoxFuture<'_, Result<Begun, StoreError>> {
        ready(self.journals().begin(run, lease)).boxed()
    }

    fn keyed(&self, principal: &str, key: &str, now: Millis) -> BoxFuture<'_, Result<Option<KeyedRun>, StoreError>> {
        let name = (Arc::from(principal), key.to_owned());
        let found = self.journals().keys.get(&name).filter(|key| key.until > now).map(|key| key.stands_for.clone());
        ready(Ok(found)).boxed()
    }

    fn append(&self, run: RunId, fence: Fence, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut runs = self.journals();
        let check = |principal: &str, id: &str, fence| {
            self.write(principal, |archive| archive.conversations.check_head(id, fence))
        };
        let appended = runs.append(run, fence, batch, check).map(|ended| {
            if let Some((principal, response)) = ended {
                self.write(&principal, |archive| archive.keep_response(response));
                runs.sweep(|principal, id| self.look_at(principal, id).is_some());
            }
        });
        drop(runs);
        ready(appended).boxed()
    }

    fn tail(&self, principal: &str, run: RunId, after: u64) -> BoxFuture<'_, Result<Option<Tail>, StoreError>> {
        let going = |going: &Going| (*going.principal == *principal).then(|| tail(&going.response.journal, after));
        let found = self.journals().going.get(&run).map(going);
        let found = match found {
            Some(found) => found,
            None => self.response_of(principal, run).map(|response| tail(&response.journal, after)),
        };
        ready(Ok(found)).boxed()
    }

    fn claim(&self, lease: Lease, now: Millis, at_most: usize) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        self.each_head(|held| {
            held.take_if(|held| held.owner != lease.owner && held.until <= now);
        });
        ready(Ok(self.journals().claim(&lease, now, at_most))).boxed()
    }

    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut runs = self.journals();
        let leases = runs.going.values_mut().filter_map(|going| going.lease.as_mut());
        leases.filter(|held| held.owner == lease.owner).for_each(|held| held.until = lease.until);
        drop(runs);
        self.each_head(|held| {
            let mine = held.as_mut().filter(|held| held.owner == lease.owner);
            mine.into_iter().for_each(|held| held.until = lease.until);
        });
        ready(Ok(())).boxed()
    }

    fn release(&self, run: RunId, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        let given_back = self.journals().held(run, fence).map(|going| (going.lease, going.claims) = (None, 0));
        ready(given_back).boxed()
    }

    fn outlives_the_process(&self) -> bool {
        false
    }

    fn runs(
        &self,
        principal: &str,
        before: Option<RunId>,
        at_most: usize,
    ) -> BoxFuture<'_, Result<Vec<RunSummary>, StoreError>> {
        ready(Ok(self.list(principal, before, at_most))).boxed()
    }
}
