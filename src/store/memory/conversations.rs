//! The conversations of one principal, bounded by their number and their bytes. The least recently used goes first, and
//! those without a name before the others.

use crate::core::ports::conversations::{Conversation, ConversationKey, Taken};
use crate::core::ports::journals::{Fence, Lease, Millis};
use crate::core::ports::store::StoreError;
use lru::LruCache;
use std::collections::HashMap;
use std::sync::Arc;

pub struct Shelf {
    entries: LruCache<String, Arc<Conversation>>,
    /// Ids by name.
    names: HashMap<String, String>,
    /// Whose the heads are of those that were ever taken.
    heads: HashMap<String, Head>,
    bytes: usize,
}

struct Head {
    lease: Option<Lease>,
    fence: Fence,
}

impl Default for Head {
    fn default() -> Self {
        Self { lease: None, fence: Fence::FIRST }
    }
}

const MAX: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;

impl Default for Shelf {
    fn default() -> Self {
        Self { entries: LruCache::unbounded(), names: HashMap::new(), heads: HashMap::new(), bytes: 0 }
    }
}

impl Shelf {
    pub fn get(&mut self, key: &ConversationKey) -> Option<&Arc<Conversation>> {
        match key {
            ConversationKey::Id(id) => self.entries.get(id),
            ConversationKey::Name(name) => self.entries.get(self.names.get(name)?),
        }
    }

    pub fn is_named(&self, id: &str) -> bool {
        self.entries.peek(id).is_some_and(|conversation| conversation.name.is_some())
    }

    pub fn list(&self, after: Option<&str>, limit: usize, newest_first: bool) -> Vec<Arc<Conversation>> {
        let order = |one: &str, other: &str| if newest_first { other.cmp(one) } else { one.cmp(other) };
        let comes = |id: &str| after.is_none_or(|after| order(after, id).is_lt());
        let all = self.entries.iter().map(|(_, conversation)| conversation);
        let mut list: Vec<_> = all.filter(|conversation| comes(&conversation.id)).cloned().collect();
        list.sort_unstable_by(|one, other| order(&one.id, &other.id));
        list.truncate(limit);
        list
    }

    pub fn put(&mut self, conversation: Arc<Conversation>) {
        self.bytes = self.bytes.saturating_add(weight(&conversation));
        self.names.extend(conversation.name.clone().map(|name| (name, conversation.id.clone())));
        self.entries.put(conversation.id.clone(), conversation);
    }

    /// Changes anything but the id and the name.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Conversation)) -> Option<Arc<Conversation>> {
        let conversation = self.entries.get_mut(id)?;
        let before = weight(conversation);
        change(Arc::make_mut(conversation));
        self.bytes = self.bytes.saturating_sub(before).saturating_add(weight(conversation));
        Some(Arc::clone(conversation))
    }

    pub fn remove(&mut self, id: &str) -> Option<Arc<Conversation>> {
        let conversation = self.entries.pop(id)?;
        self.bytes = self.bytes.saturating_sub(weight(&conversation));
        conversation.name.as_ref().map(|name| self.names.remove(name));
        self.heads.remove(id);
        Some(conversation)
    }

    pub fn take_head(&mut self, id: &str, lease: Lease, now: Millis) -> Option<Taken> {
        self.entries.peek(id)?;
        let head = self.heads.entry(id.to_owned()).or_default();
        let others = head.lease.as_ref().filter(|held| held.owner != lease.owner && held.until > now);
        if let Some(held) = others {
            return Some(Taken::Held { until: held.until });
        }
        *head = Head { lease: Some(lease), fence: Fence(head.fence.0.saturating_add(1)) };
        Some(Taken::Taken(head.fence))
    }

    pub fn give_head_back(&mut self, id: &str, fence: Fence) -> Result<(), StoreError> {
        if self.fence(id) != fence || !self.entries.contains(id) {
            return Err(StoreError::Fenced);
        }
        if let Some(head) = self.heads.get_mut(id) {
            head.lease = None;
        }
        Ok(())
    }

    /// Refuses who does not have the head any more. One that is not there is nobody's.
    pub fn check_head(&self, id: &str, fence: Fence) -> Result<(), StoreError> {
        if self.fence(id) == fence || !self.entries.contains(id) { Ok(()) } else { Err(StoreError::Fenced) }
    }

    fn fence(&self, id: &str) -> Fence {
        self.heads.get(id).map_or(Fence::FIRST, |head| head.fence)
    }

    /// The leases that there are.
    pub fn leases(&mut self) -> impl Iterator<Item = &mut Option<Lease>> {
        self.heads.values_mut().map(|head| &mut head.lease)
    }

    /// What to give up so that `kept` can stay; `None` while there is room.
    pub fn victim(&self, kept: &str) -> Option<String> {
        if self.entries.len() <= MAX && self.bytes <= MAX_BYTES {
            return None;
        }
        let oldest = |fits: &dyn Fn(&Conversation) -> bool| {
            let mut oldest_first = self.entries.iter().rev();
            oldest_first.find(|(id, conversation)| *id != kept && fits(conversation)).map(|(id, _)| id.clone())
        };
        oldest(&|conversation| conversation.name.is_none()).or_else(|| oldest(&|_| true))
    }
}

/// Bytes of a conversation, without its chain.
fn weight(conversation: &Conversation) -> usize {
    let Conversation { name, metadata, removed, .. } = conversation;
    let metadata = metadata.iter().map(|(key, value)| key.len().saturating_add(value.as_str().map_or(0, str::len)));
    let removed = removed.iter().map(|id| id.len().saturating_add(64));
    let name = name.as_ref().map_or(0, String::len);
    metadata.chain(removed).fold(name.saturating_add(256), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(number: usize, name: Option<&str>) -> Arc<Conversation> {
        let (id, name) = (format!("{number:05}"), name.map(str::to_owned));
        Arc::new(Conversation { id, name, ..Conversation::default() })
    }

    #[test]
    fn they_are_bounded_and_those_with_a_name_go_last() {
        let mut shelf = Shelf::default();
        shelf.put(conversation(0, Some("kept")));
        (1..=MAX).for_each(|number| shelf.put(conversation(number, None)));
        assert!(shelf.get(&ConversationKey::Id("00001".into())).is_some());
        assert_eq!(shelf.victim("10000").as_deref(), Some("00002"), "the least recently used");
        (1..MAX).for_each(|number| drop(shelf.remove(&format!("{number:05}"))));
        assert_eq!(shelf.victim("10000"), None);
        let long = |conversation: &mut Conversation| conversation.removed.extend(["x".repeat(MAX_BYTES)]);
        shelf.change("10000", long);
        assert_eq!(shelf.victim("10000").as_deref(), Some("00000"));
        let gone = shelf.remove("00000").is_some() && shelf.remove("10000").is_some();
        assert_eq!((gone, shelf.bytes, shelf.names.len()), (true, 0, 0));
    }
}
