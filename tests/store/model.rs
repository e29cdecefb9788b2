//! A store as a few plain lists and rules, to hold the real ones against.

use crate::make::{journal, told_to};
use nuncio::core::event::{Outcome, RunEvent};
use nuncio::core::id::RunId;
use nuncio::core::journal::Told;
use nuncio::core::ports::journals::{Batch, Begun, Claimed, Fence, KeyedRun, Lease, NewRun, Promise, RunSummary, Tail};
use nuncio::core::ports::store::{Chain, StoreError, StoredResponse};
use std::sync::Arc;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub responses: usize,
    pub bytes: usize,
}

pub struct Model {
    limits: Limits,
    time: u64,
    links: Vec<Link>,
    runs: Vec<Run>,
    keys: Vec<(String, String, KeyedRun, u64)>,
}

struct Link {
    principal: String,
    id: String,
    previous: Option<String>,
    used: u64,
    /// `None` if it was deleted or its run goes on.
    response: Option<Arc<StoredResponse>>,
    runs: bool,
}

struct Run {
    begun: NewRun,
    told: Vec<Told>,
    owner: Option<Lease>,
    fence: u64,
    claims: u32,
    over: bool,
}

impl Model {
    pub fn new(limits: Limits) -> Self {
        let (time, links, runs, keys) = Default::default();
        Self { limits, time, links, runs, keys }
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    fn link(&mut self, principal: &str, id: &str) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.principal == principal && link.id == id)
    }

    fn is_leaf(&self, link: &Link) -> bool {
        let goes_on = |other: &&Link| other.principal == link.principal && other.previous.as_deref() == Some(&link.id);
        !self.links.iter().any(|other| goes_on(&other))
    }

    /// Forgets the marks that nothing goes on from, and then what is too much.
    fn settle(&mut self) {
        loop {
            let is_mark = |link: &Link| link.response.is_none() && !link.runs;
            let lost = self.links.iter().position(|link| is_mark(link) && self.is_leaf(link));
            match lost {
                Some(lost) => drop(self.links.remove(lost)),
                None if !self.evict() => return,
                None => {}
            }
        }
    }

    fn evict(&mut self) -> bool {
        let kept = self.links.iter().filter_map(|link| link.response.as_deref());
        let (count, bytes) = kept.fold((0, 0), |(count, bytes), response| (count + 1, bytes + weight(response)));
        if count <= self.limits.responses && bytes <= self.limits.bytes {
            return false;
        }
        let leaves = self.links.iter().enumerate().filter(|(_, link)| link.response.is_some() && self.is_leaf(link));
        let mut leaves: Vec<_> = leaves.map(|(at, link)| (link.used, at)).collect();
        leaves.sort_unstable();
        let [(_, oldest), _, ..] = leaves[..] else { return false };
        self.links.remove(oldest);
        true
    }

    fn place(&mut self, principal: &str, response: &StoredResponse, kept: Option<StoredResponse>) {
        let (used, principal, runs) = (self.tick(), principal.to_owned(), kept.is_none());
        let (id, previous) = (response.id.clone(), response.previous.clone());
        self.links.push(Link { principal, id, previous, used, response: kept.map(Arc::new), runs });
        self.settle();
    }

    pub fn keep(&mut self, principal: &str, response: StoredResponse) {
        self.place(principal, &response.clone(), Some(response));
    }

    pub fn response(&mut self, principal: &str, id: &str) -> Option<Arc<StoredResponse>> {
        let time = self.tick();
        let link = self.link(principal, id).filter(|link| link.response.is_some())?;
        link.used = time;
        link.response.clone()
    }

    pub fn chain(&mut self, principal: &str, id: &str) -> Option<Chain> {
        let (mut chain, mut next) = (Chain::new(), Some(id.to_owned()));
        while let Some(id) = next {
            // A circle, which the ports allow and no client can make.
            if chain.len() > self.links.len() {
                return None;
            }
            let link = self.link(principal, &id)?;
            chain.push(link.response.clone()?);
            next = link.previous.clone();
        }
        chain.reverse();
        self.response(principal, id).map(|_| chain)
    }

    pub fn delete(&mut self, principal: &str, id: &str) -> bool {
        let was_there = self.link(principal, id).is_some_and(|link| link.response.take().is_some());
        self.settle();
        was_there
    }

    pub fn begin(&mut self, new: NewRun, lease: Lease) -> Begun {
        if let Some(key) = &new.key {
            self.keys.retain(|(.., until)| *until > key.now);
            let name = (new.principal.to_string(), key.key.clone());
            if let Some(taken) = self.keys.iter().find(|key| (&key.0, &key.1) == (&name.0, &name.1)) {
                return Begun::Taken(taken.2.clone());
            }
            let stands_for = KeyedRun { run: new.run, id: new.response.id.clone(), body: key.body };
            self.keys.push((name.0, name.1, stands_for, key.until));
        }
        self.place(&new.principal.clone(), &new.response, None);
        self.runs.push(Run { begun: new, told: Vec::new(), owner: Some(lease), fence: 1, claims: 0, over: false });
        Begun::Begun(Fence(1))
    }

    fn held(&mut self, run: RunId, fence: Fence) -> Result<&mut Run, StoreError> {
        let held = |held: &&mut Run| held.begun.run == run && held.fence == fence.0 && !held.over;
        self.runs.iter_mut().find(held).ok_or(StoreError::Fenced)
    }

    pub fn append(&mut self, run: RunId, fence: Fence, batch: Batch) -> Result<(), StoreError> {
        let held = self.held(run, fence)?;
        if held.told.len() as u64 != batch.at {
            return Err(StoreError::Misplaced(held.told.len() as u64));
        }
        held.told.extend(batch.told);
        if batch.promise == Promise::Outcome {
            held.claims = 0;
        }
        if held.told.last().is_some_and(|told| matches!(told.event, RunEvent::Finished { .. })) {
            held.over = true;
            let response = told_to(held.begun.response.clone(), &held.told, batch.ended_at);
            let (principal, time) = (held.begun.principal.clone(), self.tick());
            if let Some(link) = self.link(&principal, &response.id) {
                (link.response, link.runs, link.used) = (Some(Arc::new(response)), false, time);
            }
            self.settle();
        }
        Ok(())
    }

    /// Runs of this principal that go on, or whose responses are there.
    fn known<'a>(&'a self, principal: &'a str) -> impl Iterator<Item = &'a Run> {
        let is_kept = move |id: &str| {
            self.links.iter().any(|link| link.principal == principal && link.id == id && link.response.is_some())
        };
        let runs = self.runs.iter().filter(move |run| *run.begun.principal == *principal);
        runs.filter(move |run| !run.over || is_kept(&run.begun.response.id))
    }

    pub fn tail(&self, principal: &str, run: RunId, after: u64) -> Option<Tail> {
        let found = self.known(principal).find(|known| known.begun.run == run)?;
        Some(Tail { journal: journal(found.told.get(after as usize..).unwrap_or_default()), ended: found.over })
    }

    pub fn runs(&self, principal: &str, before: Option<RunId>, at_most: usize) -> Vec<RunSummary> {
        let known = self.known(principal).filter(|run| before.is_none_or(|before| run.begun.run < before));
        let summary = |run: &Run| RunSummary {
            run: run.begun.run,
            id: run.begun.response.id.clone(),
            head: run.begun.response.head.clone(),
            outcome: run.over.then_some(Outcome::Completed),
            ended_at: run.over.then_some(ENDED_AT),
        };
        let mut runs: Vec<_> = known.map(summary).collect();
        runs.sort_by_key(|summary| std::cmp::Reverse(summary.run));
        runs.truncate(at_most);
        runs
    }

    pub fn claim(&mut self, lease: &Lease, now: u64, at_most: usize) -> Vec<Claimed> {
        let is_left = |run: &&mut Run| !run.over && run.owner.as_ref().is_none_or(|owner| owner.until <= now);
        let mut left: Vec<_> = self.runs.iter_mut().filter(is_left).collect();
        left.sort_by_key(|run| run.begun.run);
        let claim = |run: &mut Run| {
            (run.owner, run.fence, run.claims) = (Some(lease.clone()), run.fence + 1, run.claims + 1);
            Claimed {
                run: run.begun.run,
                principal: run.begun.principal.clone(),
                fence: Fence(run.fence),
                response: told_to(run.begun.response.clone(), &run.told, None),
                request: run.begun.request.clone(),
                claims: run.claims,
            }
        };
        left.into_iter().take(at_most).map(claim).collect()
    }

    pub fn renew(&mut self, lease: &Lease) {
        let leases = self.runs.iter_mut().filter_map(|run| run.owner.as_mut());
        leases.filter(|held| held.owner == lease.owner).for_each(|held| held.until = lease.until);
    }

    pub fn release(&mut self, run: RunId, fence: Fence) -> Result<(), StoreError> {
        self.held(run, fence).map(|held| held.owner = None)
    }
}

/// When every run of the model ends.
pub const ENDED_AT: u64 = 1_700_000_000;

/// Bytes of what a response holds.
fn weight(response: &StoredResponse) -> usize {
    let input = serde_json::to_string(&response.input).unwrap();
    let instructions = response.instructions.as_deref().unwrap_or_default();
    response.head.len() + instructions.len() + input.len() + response.journal.pack().len()
}
