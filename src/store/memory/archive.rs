//! What one principal has stored: the links, and the conversations that are made of some of them. Bounded by number and
//! bytes, least recently used first out.

use super::conversations::Shelf;
use super::links::Links;
use crate::core::ports::conversations::{Conversation, ConversationKey};
use crate::core::ports::store::{AddedItems, Chain, Found, ItemKey, Link, StoredResponse};
use std::sync::Arc;

pub struct Archive {
    links: Links,
    pub conversations: Shelf,
    max_links: usize,
    max_bytes: usize,
}

const MAX_LINKS: usize = 4096;
const MAX_BYTES: usize = 64 << 20;

impl Default for Archive {
    fn default() -> Self {
        Self::bounded(MAX_LINKS, MAX_BYTES)
    }
}

impl Archive {
    fn bounded(max_links: usize, max_bytes: usize) -> Self {
        Self { links: Links::default(), conversations: Shelf::default(), max_links, max_bytes }
    }

    /// How many responses there are, and the bytes of all links.
    pub fn size(&self) -> (usize, usize) {
        (self.links.responses(), self.links.bytes())
    }

    pub fn response(&mut self, id: &str) -> Option<Arc<StoredResponse>> {
        match self.links.get(id)? {
            Link::Response(response) => Some(Arc::clone(response)),
            Link::Items(_) | Link::Gone { .. } => None,
        }
    }

    /// The same without counting as use.
    pub fn look_at(&self, id: &str) -> Option<Arc<StoredResponse>> {
        match self.links.look_at(id)? {
            Link::Response(response) => Some(Arc::clone(response)),
            Link::Items(_) | Link::Gone { .. } => None,
        }
    }

    pub fn items(&mut self, key: &ItemKey) -> Found {
        self.links.items(key)
    }

    pub fn chain(&mut self, id: &str) -> Option<Chain> {
        self.links.chain(id)
    }

    pub fn keep_response(&mut self, mut response: StoredResponse) {
        let goes_into = response.conversation.as_deref().and_then(|id| self.conversation(id));
        match goes_into {
            Some(conversation) => response.previous.clone_from(&conversation.head),
            None => response.conversation = None,
        }
        self.append(Link::Response(Arc::new(response)));
    }

    pub fn delete_response(&mut self, id: &str) -> bool {
        self.response(id).is_some() && self.links.remove(id)
    }

    pub fn begin_conversation(&mut self, conversation: Conversation) -> Arc<Conversation> {
        let named = conversation.name.clone().map(ConversationKey::Name);
        if let Some(there) = named.and_then(|name| self.conversations.get(&name)) {
            return Arc::clone(there);
        }
        let conversation = Arc::new(conversation);
        self.conversations.put(Arc::clone(&conversation));
        self.make_room_on_the_shelf(&conversation.id);
        conversation
    }

    pub fn change_conversation(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Conversation),
    ) -> Option<Arc<Conversation>> {
        let changed = self.conversations.change(id, change);
        self.make_room_on_the_shelf(id);
        changed
    }

    pub fn add_items(&mut self, mut added: AddedItems) -> bool {
        let Some(conversation) = self.conversation(&added.conversation) else { return false };
        added.previous.clone_from(&conversation.head);
        self.append(Link::Items(Arc::new(added)));
        true
    }

    pub fn delete_conversation(&mut self, id: &str) -> bool {
        let Some(conversation) = self.conversations.remove(id) else { return false };
        if let Some(head) = &conversation.head {
            self.links.release_head(head);
        }
        true
    }

    fn conversation(&mut self, id: &str) -> Option<Arc<Conversation>> {
        self.conversations.get(&ConversationKey::Id(id.to_owned())).cloned()
    }

    /// Puts a link at the end of its chain, and of its conversation if it has one.
    fn append(&mut self, link: Link) {
        let (id, previous) = (link.id().to_owned(), link.previous().map(str::to_owned));
        let conversation = link.conversation().map(str::to_owned);
        self.links.put(link);
        if let Some(conversation) = conversation {
            self.change_conversation(&conversation, |conversation| conversation.head = Some(id.clone()));
            self.links.mark_head(&id);
            if let Some(previous) = previous {
                self.links.release_head(&previous);
            }
        }
        self.links.chain(&id);
        self.make_room(&id);
    }

    fn make_room(&mut self, kept: &str) {
        while self.links.len() > self.max_links || self.links.bytes() > self.max_bytes {
            let Some(victim) = self.links.victim(kept, |conversation| self.conversations.is_named(conversation)) else {
                break;
            };
            let conversation = self.links.get(&victim).and_then(Link::conversation).map(str::to_owned);
            // A conversation that has lost its end is none.
            if let Some(conversation) = conversation.filter(|_| self.links.is_head(&victim)) {
                self.conversations.remove(&conversation);
                self.links.release_head(&victim);
            }
            self.links.remove(&victim);
        }
    }

    fn make_room_on_the_shelf(&mut self, kept: &str) {
        while let Some(victim) = self.conversations.victim(kept) {
            self.delete_conversation(&victim);
        }
    }
}

#[cfg(test)]
mod tests;
