//! The conversations of one principal, bounded by their number and their bytes. The least recently used goes first, and
//! those without a name before the others.

use crate::core::ports::conversations::{Conversation, ConversationKey};
use lru::LruCache;
use std::collections::HashMap;
use std::sync::Arc;

pub struct Shelf {
    entries: LruCache<String, Arc<Conversation>>,
    /// Ids by name.
    names: HashMap<String, String>,
    bytes: usize,
}

const MAX: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;

impl Default for Shelf {
    fn default() -> Self {
        Self { entries: LruCache::unbounded(), names: HashMap::new(), bytes: 0 }
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
        Some(conversation)
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
