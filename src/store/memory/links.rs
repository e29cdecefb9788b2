//! The links of one principal's chains: a forest in which each knows what it goes on from, and how many go on from it.

use super::holders::Holders;
use crate::core::item::Item;
use crate::core::ports::store::{Chain, Found, ItemKey, Link};
use crate::store::keys::items_of;
#[cfg(test)]
use crate::store::keys::keys_of;
use lru::LruCache;
#[cfg(test)]
use std::collections::HashSet;
use std::sync::Arc;

/// In the order in which they were used. Whoever keeps them decides what they may grow to.
pub struct Links {
    entries: LruCache<String, Entry>,
    holders: Holders,
    bytes: usize,
}

struct Entry {
    link: Link,
    /// Links that go on from this one.
    children: usize,
    /// A conversation goes on from it.
    is_head: bool,
}

impl Default for Links {
    fn default() -> Self {
        Self { entries: LruCache::unbounded(), holders: Holders::default(), bytes: 0 }
    }
}

impl Links {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn responses(&self) -> usize {
        self.entries.iter().filter(|(_, entry)| matches!(entry.link, Link::Response(_))).count()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&mut self, id: &str) -> Option<&Link> {
        self.entries.get(id).map(|entry| &entry.link)
    }

    /// The same without counting as use.
    pub fn look_at(&self, id: &str) -> Option<&Link> {
        self.entries.peek(id).map(|entry| &entry.link)
    }

    /// What a key stands for in the newest link that has it.
    pub fn items(&mut self, key: &ItemKey) -> Found {
        let holder = self.holders.newest(key)?.to_owned();
        self.get(&holder).map(|link| items_of(link, key))
    }

    /// From the first link to this one, which is the last that is used: the oldest of a chain is the oldest of all.
    pub fn chain(&mut self, id: &str) -> Option<Chain> {
        let mut ids = vec![id.to_owned()];
        // A link goes on from one that was there before it, so there is no circle; the bound is for a broken rule.
        while let Some(previous) = self.entries.peek(ids.last()?)?.link.previous() {
            if ids.len() > self.entries.len() {
                return None;
            }
            ids.push(previous.to_owned());
        }
        ids.iter().rev().map(|id| self.get(id).cloned()).collect()
    }

    /// Puts a link where its id says: anew, or in place of one of the same id.
    pub fn put(&mut self, link: Link) {
        let old = self.entries.pop(link.id());
        let (children, is_head) = old.as_ref().map_or((0, false), |old| (old.children, old.is_head));
        self.change(link.previous(), |before| before.children = before.children.saturating_add(1));
        self.bytes = self.bytes.saturating_add(link.weight());
        if let Some(Entry { link: old, .. }) = &old {
            self.bytes = self.bytes.saturating_sub(old.weight());
            self.holders.forget(old);
        }
        self.holders.add(&link);
        self.entries.put(link.id().to_owned(), Entry { link, children, is_head });
        if let Some(before) = old.as_ref().and_then(|old| old.link.previous()) {
            self.change(Some(before), |before| before.children = before.children.saturating_sub(1));
            self.free(Some(before.to_owned()));
        }
    }

    /// Takes a link away. Where others stand on it, what it held is forgotten and its place is kept. Says whether there
    /// was something to forget.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(entry) = self.entries.peek_mut(id).filter(|entry| !is_gone(&entry.link)) else { return false };
        let previous = entry.link.previous().map(str::to_owned);
        let conversation = entry.link.conversation().map(str::to_owned);
        let gone = Link::Gone { id: id.to_owned(), previous, conversation };
        self.bytes = self.bytes.saturating_sub(entry.link.weight()).saturating_add(gone.weight());
        self.holders.forget(&entry.link);
        entry.link = gone;
        self.join_with_the_gap_before(id);
        if let Some(after) = self.gap_after(id) {
            self.join_with_the_gap_before(&after);
        }
        self.free(Some(id.to_owned()));
        true
    }

    pub fn mark_head(&mut self, id: &str) {
        self.change(Some(id), |entry| entry.is_head = true);
    }

    /// No conversation goes on from this link any more.
    pub fn release_head(&mut self, id: &str) {
        self.change(Some(id), |entry| entry.is_head = false);
        self.free(Some(id.to_owned()));
    }

    pub fn is_head(&self, id: &str) -> bool {
        self.entries.peek(id).is_some_and(|entry| entry.is_head)
    }

    /// What to give up next, so that `kept` can stay; `is_dear` says of a conversation that others should go first. A
    /// chain is given up from its end, so that what is still there has all that it goes on from. Where only chains of
    /// dear conversations are left, they lose what is oldest in them, and in the end one goes.
    pub fn victim(&self, kept: &str, is_dear: impl Fn(&str) -> bool) -> Option<String> {
        let oldest = |fits: &dyn Fn(&Entry) -> bool| {
            let mut oldest_first = self.entries.iter().rev();
            oldest_first.find(|(id, entry)| *id != kept && fits(entry)).map(|(id, _)| id.clone())
        };
        oldest(&|entry| entry.children == 0 && !entry.link.conversation().is_some_and(&is_dear))
            .or_else(|| oldest(&|entry| !entry.is_head && !is_gone(&entry.link)))
            .or_else(|| oldest(&|entry| entry.children == 0 || !is_gone(&entry.link)))
    }

    fn change(&mut self, id: Option<&str>, change: impl FnOnce(&mut Entry)) {
        id.and_then(|id| self.entries.peek_mut(id)).map(change);
    }

    /// Frees a link that cannot be asked for and that nothing stands on, and what that sets free.
    fn free(&mut self, mut id: Option<String>) {
        while let Some(free) = id.take() {
            let is_free =
                |entry: &Entry| entry.children == 0 && !entry.is_head && !matches!(entry.link, Link::Response(_));
            if !self.entries.peek(&free).is_some_and(is_free) {
                return;
            }
            id = self.entries.pop(&free).and_then(|entry| {
                self.holders.forget(&entry.link);
                self.bytes = self.bytes.saturating_sub(entry.link.weight());
                entry.link.previous().map(str::to_owned)
            });
            self.change(id.as_deref(), |before| before.children = before.children.saturating_sub(1));
        }
    }

    /// The gap that goes on from this link, which may be deleted before what it stands on.
    fn gap_after(&self, id: &str) -> Option<String> {
        let follows = |entry: &Entry| is_gone(&entry.link) && entry.link.previous() == Some(id);
        self.entries.iter().find(|(_, entry)| follows(entry)).map(|(after, _)| after.clone())
    }

    /// One gap is as good as two, and a chain that loses its oldest links for ever must not leave one for each.
    fn join_with_the_gap_before(&mut self, id: &str) {
        let before = self.entries.peek(id).and_then(|entry| entry.link.previous()).map(str::to_owned);
        let joins = |entry: &Entry| entry.children == 1 && !entry.is_head && is_gone(&entry.link);
        let Some(before) = before.filter(|before| self.entries.peek(before).is_some_and(joins)) else { return };
        let Some(gap) = self.entries.pop(&before) else { return };
        self.bytes = self.bytes.saturating_sub(gap.link.weight());
        self.change(Some(id), |entry| {
            if let Link::Gone { previous, .. } = &mut entry.link {
                *previous = gap.link.previous().map(str::to_owned);
            }
        });
    }
}

fn is_gone(link: &Link) -> bool {
    matches!(link, Link::Gone { .. })
}

/// Bytes of some items.
pub fn size(items: &[Arc<Item>]) -> usize {
    items.iter().map(|item| item.weight()).fold(0, usize::saturating_add)
}

#[cfg(test)]
impl Links {
    /// Panics where the books are wrong.
    pub fn check(&self) {
        let all: Vec<&Entry> = self.entries.iter().map(|(_, entry)| entry).collect();
        let keys: HashSet<ItemKey> = all.iter().flat_map(|entry| keys_of(&entry.link)).collect();
        assert_eq!(self.holders.len(), keys.len());
        assert_eq!(self.bytes, all.iter().map(|entry| entry.link.weight()).sum::<usize>());
        for entry in &all {
            let id = entry.link.id();
            let children = all.iter().filter(|other| other.link.previous() == Some(id)).count();
            assert_eq!(entry.children, children, "links on {id}");
            let is_used = children > 0 || entry.is_head || matches!(entry.link, Link::Response(_));
            assert!(is_used, "{id} is of no use to anybody");
        }
    }
}
