//! A store as a few plain lists and rules, to hold the real ones against.

use crate::make::{journal, told_to};
use nuncio::core::event::{Outcome, RunEvent};
use nuncio::core::id::RunId;
use nuncio::core::journal::Told;
use nuncio::core::ports::conversations::{Conversation, ConversationKey, Taken};
use nuncio::core::ports::journals::{
    Batch, Begun, Claimed, Ending, Fence, KeyedRun, Lease, NewRun, Promise, RunSummary, Tail,
};
use nuncio::core::ports::store::{AddedItems, Chain, Found, Link, StoreError, StoredResponse};
use std::cmp::Reverse;
use std::sync::Arc;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Links.
    pub responses: usize,
    pub bytes: usize,
    /// What a run goes on from keeps its place while that runs.
    pub runs_hold: bool,
}

pub struct Model {
    limits: Limits,
    time: u64,
    places: Vec<Place>,
    conversations: Vec<(String, Conversation)>,
    heads: Vec<Head>,
    runs: Vec<Run>,
    keys: Vec<(String, String, KeyedRun, u64)>,
}

type Size = fn(&Link) -> usize;

/// A link, or one to be: of a run in progress there is none.
struct Place {
    principal: String,
    id: String,
    previous: Option<String>,
    stored: u64,
    used: u64,
    link: Option<Link>,
}

/// Whose the head of a conversation is, and how often it was taken.
struct Head {
    principal: String,
    conversation: String,
    lease: Option<Lease>,
    fence: u64,
}

struct Run {
    begun: NewRun,
    told: Vec<Told>,
    owner: Option<Lease>,
    fence: u64,
    claims: u32,
    over: bool,
}

impl Place {
    fn is(&self, principal: &str, id: &str) -> bool {
        self.principal == principal && self.id == id
    }

    fn is_gone(&self) -> bool {
        matches!(self.link, Some(Link::Gone { .. }))
    }

    /// What it holds, if there is anything.
    fn held(&self) -> Option<&Link> {
        self.link.as_ref().filter(|link| !matches!(link, Link::Gone { .. }))
    }

    fn response(&self) -> Option<&Arc<StoredResponse>> {
        match &self.link {
            Some(Link::Response(response)) => Some(response),
            _ => None,
        }
    }
}

/// Conversations.
impl Model {
    pub fn conversation(&mut self, principal: &str, key: &ConversationKey) -> Option<&mut Conversation> {
        let is = |conversation: &Conversation| match key {
            ConversationKey::Id(id) => conversation.id == *id,
            ConversationKey::Name(name) => conversation.name.as_ref() == Some(name),
        };
        let mut found = self.conversations.iter_mut().filter(|(owner, _)| owner == principal);
        found.find(|(_, conversation)| is(conversation)).map(|(_, conversation)| conversation)
    }

    fn by_id(&mut self, principal: &str, id: &str) -> Option<&mut Conversation> {
        self.conversation(principal, &ConversationKey::Id(id.to_owned()))
    }

    pub fn begin_conversation(&mut self, principal: &str, new: Conversation) -> Conversation {
        let named = new.name.clone().map(ConversationKey::Name);
        if let Some(there) = named.and_then(|name| self.conversation(principal, &name)) {
            return there.clone();
        }
        self.conversations.push((principal.to_owned(), new.clone()));
        new
    }

    pub fn conversations(&self, principal: &str, after: Option<&str>, limit: usize, newest: bool) -> Vec<Conversation> {
        let of = self.conversations.iter().filter(|(owner, _)| owner == principal).map(|(_, of)| of.clone());
        let mut list: Vec<_> = of.collect();
        list.sort_by(|one, other| one.id.cmp(&other.id));
        if newest {
            list.reverse();
        }
        list.retain(|one| after.is_none_or(|after| if newest { *one.id < *after } else { *one.id > *after }));
        list.truncate(limit);
        list
    }

    fn head_of(&mut self, principal: &str, id: &str) -> Option<&mut Head> {
        self.by_id(principal, id)?;
        let known = self.heads.iter().position(|head| head.principal == principal && head.conversation == id);
        let at = known.unwrap_or_else(|| {
            let (principal, conversation) = (principal.to_owned(), id.to_owned());
            self.heads.push(Head { principal, conversation, lease: None, fence: 0 });
            self.heads.len() - 1
        });
        self.heads.get_mut(at)
    }

    /// Of a conversation that is not there as well.
    pub fn fence(&mut self, principal: &str, id: &str) -> Fence {
        Fence(self.head_of(principal, id).map_or(0, |head| head.fence))
    }

    fn check(&mut self, principal: &str, id: &str, fence: Fence) -> Result<(), StoreError> {
        let is_there = self.by_id(principal, id).is_some();
        if is_there && self.fence(principal, id) != fence { Err(StoreError::Fenced) } else { Ok(()) }
    }

    pub fn take_head(&mut self, principal: &str, id: &str, lease: Lease, now: u64) -> Option<Taken> {
        let head = self.head_of(principal, id)?;
        match &head.lease {
            Some(held) if held.owner != lease.owner && held.until > now => Some(Taken::Held { until: held.until }),
            _ => {
                (head.lease, head.fence) = (Some(lease), head.fence + 1);
                Some(Taken::Taken(Fence(head.fence)))
            }
        }
    }

    pub fn give_head_back(&mut self, principal: &str, id: &str, fence: Fence) -> Result<(), StoreError> {
        let head = self.head_of(principal, id).filter(|head| head.fence == fence.0);
        head.map(|head| head.lease = None).ok_or(StoreError::Fenced)
    }

    /// Changes its metadata, or, with a fence, what was taken out of it.
    pub fn change(
        &mut self,
        principal: &str,
        id: &str,
        fence: Option<Fence>,
        change: impl FnOnce(&mut Conversation),
    ) -> Result<Option<Conversation>, StoreError> {
        fence.map(|fence| self.check(principal, id, fence)).transpose()?;
        let found = self.by_id(principal, id);
        Ok(found.map(|conversation| {
            change(conversation);
            conversation.clone()
        }))
    }

    pub fn add_items(&mut self, principal: &str, mut added: AddedItems, fence: Fence) -> Result<bool, StoreError> {
        self.check(principal, &added.conversation, fence)?;
        let Some(conversation) = self.by_id(principal, &added.conversation) else { return Ok(false) };
        added.previous = conversation.head.replace(added.id.clone());
        let (id, previous) = (added.id.clone(), added.previous.clone());
        self.place(principal, id, previous, Some(Link::Items(Arc::new(added))));
        Ok(true)
    }

    pub fn delete_conversation(&mut self, principal: &str, id: &str) -> bool {
        let before = self.conversations.len();
        self.conversations.retain(|(owner, conversation)| !(owner == principal && conversation.id == id));
        self.settle(None);
        self.conversations.len() != before
    }
}

/// What is kept, and what is given up for it.
impl Model {
    pub fn new(limits: Limits) -> Self {
        let (time, places, conversations, heads, runs, keys) = Default::default();
        Self { limits, time, places, conversations, heads, runs, keys }
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    fn at(&self, principal: &str, id: &str) -> Option<usize> {
        self.places.iter().position(|place| place.is(principal, id))
    }

    fn children(&self, of: &Place) -> usize {
        let goes_on = |place: &&Place| {
            place.principal == of.principal
                && place.previous.as_ref() == Some(&of.id)
                && (place.link.is_some() || self.limits.runs_hold)
        };
        self.places.iter().filter(goes_on).count()
    }

    /// Whether a conversation goes on from it, and whether that has a name.
    fn head(&self, place: &Place) -> Option<bool> {
        let is_head = |(owner, conversation): &&(String, Conversation)| {
            *owner == place.principal && conversation.head.as_ref() == Some(&place.id)
        };
        self.conversations.iter().find(is_head).map(|(_, conversation)| conversation.name.is_some())
    }

    fn is_stood_on(&self, place: &Place) -> bool {
        self.children(place) > 0 || self.head(place).is_some()
    }

    /// Forgets what nobody can ask for and nothing goes on from, and then what is too much.
    fn settle(&mut self, writer: Option<&str>) {
        loop {
            let conversations = &self.conversations;
            self.heads.retain(|head| {
                conversations.iter().any(|(owner, of)| *owner == head.principal && of.id == head.conversation)
            });
            let is_lost = |place: &Place| {
                matches!(place.link, Some(Link::Gone { .. } | Link::Items(_))) && !self.is_stood_on(place)
            };
            match self.places.iter().position(is_lost) {
                Some(lost) => drop(self.places.remove(lost)),
                None => match self.next_to_go(writer) {
                    Some(at) => self.give_up(at),
                    None => return,
                },
            }
        }
    }

    fn next_to_go(&self, writer: Option<&str>) -> Option<usize> {
        let sum = |principal: Option<&str>, size: Size| -> usize {
            let of = self.places.iter().filter(|place| principal.is_none_or(|principal| place.principal == principal));
            of.filter_map(Place::held).map(size).sum()
        };
        let sizes: [(Size, usize); 2] = [(|_| 1, self.limits.responses), (weight, self.limits.bytes)];
        let (size, _) = sizes.into_iter().find(|(size, limit)| sum(None, *size) > *limit)?;
        let oldest = |fits: &dyn Fn(&Place) -> bool| {
            let fitting = self.places.iter().enumerate().filter(|(_, place)| fits(place));
            let mut oldest: Vec<_> = fitting.map(|(at, place)| (place.used, at)).collect();
            oldest.sort_unstable();
            oldest
        };
        let is_end = |place: &Place| {
            place.link.is_some() && self.children(place) == 0 && !self.head(place).is_some_and(|is_named| is_named)
        };
        if let [(_, at), _, ..] = oldest(&is_end)[..] {
            return Some(at);
        }
        let is_inner = |place: &Place| place.held().is_some() && self.children(place) > 0 && self.head(place).is_none();
        let share = |at: usize| sum(Some(&self.places[at].principal), size);
        let most = oldest(&is_inner).into_iter().max_by_key(|(used, at)| (share(*at), Reverse(*used)));
        if let Some((_, at)) = most {
            return Some(at);
        }
        match oldest(&|place| self.head(place) == Some(true) && writer == Some(&place.principal))[..] {
            [(_, at), _, ..] => Some(at),
            _ => None,
        }
    }

    fn give_up(&mut self, at: usize) {
        let (principal, id) = (self.places[at].principal.clone(), self.places[at].id.clone());
        self.conversations
            .retain(|(owner, conversation)| !(*owner == principal && conversation.head.as_ref() == Some(&id)));
        self.remove(at);
    }

    fn remove(&mut self, at: usize) {
        let place = &self.places[at];
        if place.held().is_none() {
            return;
        }
        if !self.is_stood_on(place) {
            self.places.remove(at);
            return;
        }
        let before = place.previous.as_ref().and_then(|previous| self.at(&place.principal, previous));
        let joins = |before: &Place| before.is_gone() && self.children(before) == 1 && self.head(before).is_none();
        let gap = before.filter(|before| joins(&self.places[*before]));
        let previous = gap.map_or_else(|| place.previous.clone(), |gap| self.places[gap].previous.clone());
        let conversation = place.link.as_ref().and_then(Link::conversation).map(str::to_owned);
        let link = Some(Link::Gone { id: place.id.clone(), previous: previous.clone(), conversation });
        let place = &mut self.places[at];
        (place.link, place.previous) = (link, previous);
        gap.map(|gap| self.places.remove(gap));
    }

    fn place(&mut self, principal: &str, id: String, previous: Option<String>, link: Option<Link>) {
        let (time, writer) = (self.tick(), link.is_some().then_some(principal));
        self.places.retain(|place| !place.is(principal, &id));
        let principal = principal.to_owned();
        self.places.push(Place { principal, id, previous, stored: time, used: time, link });
        self.settle(writer);
    }

    pub fn keep(
        &mut self,
        principal: &str,
        mut response: StoredResponse,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let named = response.conversation.take().zip(fence);
        if let Some((id, fence)) = named {
            self.check(principal, &id, fence)?;
            response.conversation = Some(id);
        }
        let id = response.id.clone();
        match response.conversation.clone().and_then(|id| self.by_id(principal, &id)) {
            Some(conversation) => response.previous = conversation.head.replace(id.clone()),
            None => response.conversation = None,
        }
        let previous = response.previous.clone();
        self.place(principal, id, previous, Some(Link::Response(Arc::new(response))));
        Ok(())
    }

    fn use_of(&mut self, principal: &str, id: &str) -> Option<&Place> {
        let (time, at) = (self.tick(), self.at(principal, id)?);
        self.places[at].used = time;
        self.places.get(at)
    }

    /// Looks without that counting as use.
    pub fn has(&self, principal: &str, id: &str) -> bool {
        self.at(principal, id).is_some_and(|at| self.places[at].response().is_some())
    }

    pub fn response(&mut self, principal: &str, id: &str) -> Option<Arc<StoredResponse>> {
        if !self.has(principal, id) {
            return None;
        }
        self.use_of(principal, id)?.response().cloned()
    }

    pub fn item(&mut self, principal: &str, id: &str) -> Found {
        let holds = |place: &&Place| {
            place.principal == principal && place.held().is_some_and(|link| link.items().any(|item| item.id() == id))
        };
        let newest = self.places.iter().filter(holds).max_by_key(|place| place.stored)?.id.clone();
        let found = self.use_of(principal, &newest)?.held()?.items().find(|item| item.id() == id).cloned();
        found.map(|item| vec![item])
    }

    pub fn chain(&mut self, principal: &str, id: &str) -> Option<Chain> {
        let (mut chain, mut next) = (Chain::new(), Some(id.to_owned()));
        while let Some(id) = next {
            let place = &self.places[self.at(principal, &id)?];
            chain.push(place.link.clone()?);
            next = place.previous.clone();
        }
        chain.reverse();
        self.use_of(principal, id).map(|_| chain)
    }

    pub fn delete(&mut self, principal: &str, id: &str) -> bool {
        let found = self.at(principal, id).filter(|at| self.places[*at].response().is_some());
        if let Some(at) = found {
            self.remove(at);
        }
        self.settle(None);
        found.is_some()
    }
}

/// Runs.
impl Model {
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
        self.place(&new.principal, new.response.id.clone(), new.response.previous.clone(), None);
        self.runs.push(Run { begun: new, told: Vec::new(), owner: Some(lease), fence: 1, claims: 0, over: false });
        Begun::Begun(Fence(1))
    }

    fn held(&mut self, run: RunId, fence: Fence) -> Result<&mut Run, StoreError> {
        let held = |held: &&mut Run| held.begun.run == run && held.fence == fence.0 && !held.over;
        self.runs.iter_mut().find(held).ok_or(StoreError::Fenced)
    }

    /// What a run said at its begin that it goes on from.
    pub fn begun_from(&self, run: RunId) -> Option<String> {
        self.runs.iter().find(|known| known.begun.run == run)?.begun.response.previous.clone()
    }

    pub fn append(&mut self, run: RunId, fence: Fence, batch: Batch) -> Result<(), StoreError> {
        let held = self.held(run, fence)?;
        if held.told.len() as u64 != batch.at {
            return Err(StoreError::Misplaced(held.told.len() as u64));
        }
        let principal = held.begun.principal.clone();
        if let Some(Ending { conversation: Some((id, head)), .. }) = &batch.end {
            self.check(&principal, id, *head)?;
        }
        let held = self.held(run, fence)?;
        held.told.extend(batch.told);
        if batch.promise == Promise::Outcome {
            held.claims = 0;
        }
        if held.told.last().is_some_and(|told| matches!(told.event, RunEvent::Finished { .. })) {
            held.over = true;
            let Ending { at, previous, conversation, .. } = batch.end.unwrap_or_default();
            let (conversation, fence) = conversation.unzip();
            let begun = StoredResponse { previous, conversation, ..held.begun.response.clone() };
            let response = told_to(begun, &held.told, Some(at));
            self.keep(&principal, response, fence)?;
        }
        Ok(())
    }

    /// Runs of this principal that go on, or whose responses are there.
    fn known<'a>(&'a self, principal: &'a str) -> impl Iterator<Item = &'a Run> {
        let runs = self.runs.iter().filter(move |run| *run.begun.principal == *principal);
        runs.filter(move |run| !run.over || self.has(principal, &run.begun.response.id))
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
        let is_over = |owner: &Lease| owner.until <= now && owner.owner != lease.owner;
        self.heads.iter_mut().for_each(|head| drop(head.lease.take_if(|held| is_over(held))));
        let is_left = |run: &&mut Run| !run.over && run.owner.as_ref().is_none_or(is_over);
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
        let heads = self.heads.iter_mut().filter_map(|head| head.lease.as_mut());
        let leases = self.runs.iter_mut().filter_map(|run| run.owner.as_mut()).chain(heads);
        leases.filter(|held| held.owner == lease.owner).for_each(|held| held.until = lease.until);
    }

    pub fn release(&mut self, run: RunId, fence: Fence) -> Result<(), StoreError> {
        self.held(run, fence).map(|held| (held.owner, held.claims) = (None, 0))
    }
}

/// When every run of the model ends.
pub const ENDED_AT: u64 = 1_700_000_000;

/// Bytes of what a link holds.
fn weight(link: &Link) -> usize {
    match link {
        Link::Response(response) => {
            let input = serde_json::to_string(&response.input).unwrap();
            let instructions = response.instructions.as_deref().unwrap_or_default();
            response.head.len() + instructions.len() + input.len() + response.journal.pack().len()
        }
        Link::Items(added) => serde_json::to_string(&added.items).unwrap().len(),
        Link::Gone { .. } => 0,
    }
}
