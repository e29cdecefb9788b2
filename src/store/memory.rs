//! The store that keeps everything in memory, least recently used first out. A restart forgets it.

mod archive;
mod conversations;
mod holders;
mod journals;
mod links;
mod notes;

use crate::core::ports::conversations::{Conversation, ConversationKey, Conversations, Taken};
use crate::core::ports::journals::{Fence, Lease, Millis};
use crate::core::ports::store::{
    AddedItems, Chain, Fingerprint, Found, Health, ItemKey, Store, StoreError, StoredResponse, Turn,
};
use archive::Archive;
use futures_util::future::{BoxFuture, FutureExt, ready};
use journals::Runs;
use links::size;
use lru::LruCache;
use notes::Notebooks;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct MemoryStore {
    entries: Mutex<Entries>,
    /// By principal: none can push out what belongs to another. Principals are as many as the configuration has keys.
    archives: Mutex<HashMap<String, Archive>>,
    /// Locked before `archives`, where both are needed.
    runs: Mutex<Runs>,
    notebooks: Mutex<Notebooks>,
}

struct Entries {
    /// `None` for a fingerprint that two sessions have.
    sessions: LruCache<(String, Fingerprint), Option<String>>,
    /// By the first call id of the turn.
    turns: LruCache<(String, String), Turn>,
    /// Bytes of all turns, about; they hold tool outputs, so their number alone would bound nothing.
    turn_bytes: usize,
    max_turn_bytes: usize,
}

/// Turns wait for a client to run its tools, which takes moments: what is older may go.
const MAX_TURNS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
const MAX_TURN_BYTES: usize = 64 << 20;

/// Of each principal.
const MAX_NOTEBOOKS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

impl MemoryStore {
    /// `max_sessions` is how many conversations are known again by their history.
    pub fn new(max_sessions: NonZeroUsize) -> Self {
        Self::bounded(max_sessions, MAX_TURN_BYTES)
    }

    fn bounded(max_sessions: NonZeroUsize, max_turn_bytes: usize) -> Self {
        let (sessions, turns) = (LruCache::new(max_sessions), LruCache::new(MAX_TURNS));
        let entries = Mutex::new(Entries { sessions, turns, turn_bytes: 0, max_turn_bytes });
        let notebooks = Mutex::new(Notebooks::up_to(MAX_NOTEBOOKS));
        Self { entries, archives: Mutex::default(), runs: Mutex::default(), notebooks }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn archives(&self) -> MutexGuard<'_, HashMap<String, Archive>> {
        self.archives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this gives of the principal's archive; the default where there is none.
    fn read<T: Default>(&self, principal: &str, read: impl FnOnce(&mut Archive) -> T) -> T {
        self.archives().get_mut(principal).map(read).unwrap_or_default()
    }

    fn write<T>(&self, principal: &str, write: impl FnOnce(&mut Archive) -> T) -> T {
        write(self.archives().entry(principal.to_owned()).or_default())
    }

    fn journals(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notebooks(&self) -> MutexGuard<'_, Notebooks> {
        self.notebooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, principal: &str, id: &str) -> Option<Arc<StoredResponse>> {
        self.read(principal, |archive| archive.response(id))
    }

    /// The same without counting as use.
    fn look_at(&self, principal: &str, id: &str) -> Option<Arc<StoredResponse>> {
        self.read(principal, |archive| archive.look_at(id))
    }
}

impl Store for MemoryStore {
    fn session(&self, principal: &str, fingerprint: Fingerprint) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        let found = self.lock().sessions.get(&(principal.to_owned(), fingerprint)).cloned().flatten();
        ready(Ok(found)).boxed()
    }

    fn remember_session(
        &self,
        principal: &str,
        fingerprint: Fingerprint,
        session: String,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut entries = self.lock();
        let bound = entries.sessions.get_or_insert_mut((principal.to_owned(), fingerprint), || Some(session.clone()));
        if bound.as_ref() != Some(&session) {
            *bound = None;
        }
        drop(entries);
        ready(Ok(())).boxed()
    }

    fn turn(&self, principal: &str, call_id: &str) -> BoxFuture<'_, Result<Option<Turn>, StoreError>> {
        let found = self.lock().turns.get(&(principal.to_owned(), call_id.to_owned())).cloned();
        ready(Ok(found)).boxed()
    }

    fn keep_turn(&self, principal: &str, call_ids: &[String], turn: Turn) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Some(call_id) = call_ids.first() {
            self.lock().keep((principal.to_owned(), call_id.clone()), turn);
        }
        ready(Ok(())).boxed()
    }

    fn response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Arc<StoredResponse>>, StoreError>> {
        ready(Ok(self.read(principal, |archive| archive.response(id)))).boxed()
    }

    fn items(&self, principal: &str, keys: &[ItemKey]) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        let found = keys.iter().map(|key| self.read(principal, |archive| archive.items(key))).collect();
        ready(Ok(found)).boxed()
    }

    fn chain(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Chain>, StoreError>> {
        ready(Ok(self.read(principal, |archive| archive.chain(id)))).boxed()
    }

    fn keep_response(
        &self,
        principal: &str,
        mut response: StoredResponse,
        fence: Option<Fence>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let named = response.conversation.take().zip(fence);
        let kept = self.write(principal, |archive| {
            if let Some((id, fence)) = named {
                archive.conversations.check_head(&id, fence)?;
                response.conversation = Some(id);
            }
            archive.keep_response(response);
            Ok(())
        });
        ready(kept).boxed()
    }

    fn delete_response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<bool, StoreError>> {
        if let Some(response) = self.look_at(principal, id) {
            response.journal.waits().for_each(|call| self.lock().forget((principal.to_owned(), call.to_owned())));
        }
        ready(Ok(self.read(principal, |archive| archive.delete_response(id)))).boxed()
    }

    fn health(&self) -> Health {
        let (counts, bytes): (Vec<usize>, Vec<usize>) = self.archives().values().map(Archive::size).unzip();
        Health {
            kind: "memory",
            path: None,
            bytes: bytes.into_iter().sum::<usize>() as u64,
            responses: counts.into_iter().sum::<usize>() as u64,
            trouble: None,
        }
    }
}

impl Conversations for MemoryStore {
    fn begin_conversation(
        &self,
        principal: &str,
        conversation: Conversation,
    ) -> BoxFuture<'_, Result<Arc<Conversation>, StoreError>> {
        ready(Ok(self.write(principal, |archive| archive.begin_conversation(conversation)))).boxed()
    }

    fn conversation(
        &self,
        principal: &str,
        key: &ConversationKey,
    ) -> BoxFuture<'_, Result<Option<Arc<Conversation>>, StoreError>> {
        ready(Ok(self.read(principal, |archive| archive.conversations.get(key).cloned()))).boxed()
    }

    fn conversations(
        &self,
        principal: &str,
        after: Option<&str>,
        limit: usize,
        newest_first: bool,
    ) -> BoxFuture<'_, Result<Vec<Arc<Conversation>>, StoreError>> {
        ready(Ok(self.read(principal, |archive| archive.conversations.list(after, limit, newest_first)))).boxed()
    }

    fn set_metadata(
        &self,
        principal: &str,
        id: &str,
        metadata: Map<String, Value>,
    ) -> BoxFuture<'_, Result<Option<Arc<Conversation>>, StoreError>> {
        let set = |conversation: &mut Conversation| conversation.metadata = metadata;
        ready(Ok(self.read(principal, |archive| archive.change_conversation(id, set)))).boxed()
    }

    fn take_head(
        &self,
        principal: &str,
        id: &str,
        lease: Lease,
        now: Millis,
    ) -> BoxFuture<'_, Result<Option<Taken>, StoreError>> {
        ready(Ok(self.read(principal, |archive| archive.conversations.take_head(id, lease, now)))).boxed()
    }

    fn give_head_back(&self, principal: &str, id: &str, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.write(principal, |archive| archive.conversations.give_head_back(id, fence))).boxed()
    }

    fn add_items(&self, principal: &str, added: AddedItems, fence: Fence) -> BoxFuture<'_, Result<bool, StoreError>> {
        let add = |archive: &mut Archive| {
            archive.conversations.check_head(&added.conversation, fence)?;
            Ok(archive.add_items(added))
        };
        ready(self.write(principal, add)).boxed()
    }

    fn remove_items(
        &self,
        principal: &str,
        id: &str,
        items: Vec<String>,
        fence: Fence,
    ) -> BoxFuture<'_, Result<Option<Arc<Conversation>>, StoreError>> {
        let remove = |archive: &mut Archive| {
            archive.conversations.check_head(id, fence)?;
            Ok(archive.change_conversation(id, |conversation| conversation.removed.extend(items)))
        };
        ready(self.write(principal, remove)).boxed()
    }

    fn delete_conversation(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(Ok(self.read(principal, |archive| archive.delete_conversation(id)))).boxed()
    }
}

impl Entries {
    fn forget(&mut self, key: (String, String)) {
        if let Some(old) = self.turns.pop(&key) {
            self.turn_bytes = self.turn_bytes.saturating_sub(size(&old));
        }
    }

    fn keep(&mut self, key: (String, String), turn: Turn) {
        self.turn_bytes = self.turn_bytes.saturating_add(size(&turn));
        if let Some((_, old)) = self.turns.push(key, turn) {
            self.turn_bytes = self.turn_bytes.saturating_sub(size(&old));
        }
        while self.turn_bytes > self.max_turn_bytes {
            let Some((_, old)) = self.turns.pop_lru() else { break };
            self.turn_bytes = self.turn_bytes.saturating_sub(size(&old));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::item::{Item, Message, Role};

    fn turn(text: &str) -> Turn {
        Arc::from([Arc::new(Item::Message(Message::of(Role::Assistant, text)))])
    }

    fn kept(store: &MemoryStore, principal: &str, call: &str) -> Option<Turn> {
        store.turn(principal, call).now_or_never().unwrap().unwrap()
    }

    #[test]
    fn what_is_stored_belongs_to_its_principal() {
        let store = MemoryStore::new(NonZeroUsize::MIN);
        store.remember_session("ann", [7; 32], "s".into()).now_or_never().unwrap().unwrap();
        store.keep_turn("ann", &["c1".into()], turn("hi")).now_or_never().unwrap().unwrap();
        let session = |who| store.session(who, [7; 32]).now_or_never().unwrap().unwrap();
        assert_eq!((session("ann"), session("bob")), (Some("s".into()), None));
        assert_eq!((kept(&store, "ann", "c1"), kept(&store, "bob", "c1")), (Some(turn("hi")), None));
    }

    #[test]
    fn what_two_sessions_have_in_common_leads_to_neither() {
        let store = MemoryStore::new(NonZeroUsize::MIN);
        let session = || store.session("ann", [7; 32]).now_or_never().unwrap().unwrap();
        let remember =
            |name: &str| store.remember_session("ann", [7; 32], name.into()).now_or_never().unwrap().unwrap();
        let found = ["s", "s", "t", "s"].map(|name| {
            remember(name);
            session()
        });
        assert_eq!(found, [Some("s".into()), Some("s".into()), None, None]);
    }

    #[test]
    fn turns_are_bounded_by_bytes_and_the_oldest_goes_first() {
        let store = MemoryStore::bounded(NonZeroUsize::MIN, 1000);
        for call in ["a", "b", "c"] {
            store.keep_turn("p", &[call.into()], turn(&call.repeat(100))).now_or_never().unwrap().unwrap();
        }
        let left: Vec<bool> = ["a", "b", "c"].iter().map(|call| kept(&store, "p", call).is_some()).collect();
        assert_eq!(left, [false, true, true]);
        assert!(store.lock().turn_bytes <= 1000);
    }
}
