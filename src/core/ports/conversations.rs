//! The port to conversations: each is a name for the head of a chain, and the chain is what was said in it.

use super::journals::{Fence, Lease, Millis};
use super::store::{AddedItems, StoreError};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Conversations, each of one principal. Those that have a name are the last to be forgotten.
///
/// The head of one belongs to one process at a time, for as long as its lease lasts: who has it reads the history, and adds
/// to it what was made of that. What comes with another fence than that of the last who took it is refused as
/// [`Fenced`](StoreError::Fenced); until somebody has, that is [`Fence::FIRST`].
pub trait Conversations: Send + Sync {
    /// Stores a new conversation, or gives back the one that has its name already and changes nothing.
    fn begin_conversation(&self, principal: &str, conversation: Conversation) -> Answer<'_, Arc<Conversation>>;

    fn conversation(&self, principal: &str, key: &ConversationKey) -> Answer<'_, Option<Arc<Conversation>>>;

    /// Those that come after this id, at most `limit`, in the order of their ids or the reverse.
    fn conversations(
        &self,
        principal: &str,
        after: Option<&str>,
        limit: usize,
        newest_first: bool,
    ) -> Answer<'_, Vec<Arc<Conversation>>>;

    /// `None` if it is not there.
    fn set_metadata(
        &self,
        principal: &str,
        id: &str,
        metadata: Map<String, Value>,
    ) -> Answer<'_, Option<Arc<Conversation>>>;

    /// Takes the head of a conversation, unless it was another's at `now`; its owner may take it anew. `None` if the
    /// conversation is not there.
    fn take_head(&self, principal: &str, id: &str, lease: Lease, now: Millis) -> Answer<'_, Option<Taken>>;

    /// Gives the head back, so that it can be taken at once.
    fn give_head_back(&self, principal: &str, id: &str, fence: Fence) -> Answer<'_, ()>;

    /// Makes these items the head of their conversation, whatever they say themselves of what they go on from. Says
    /// whether the conversation was there.
    fn add_items(&self, principal: &str, added: AddedItems, fence: Fence) -> Answer<'_, bool>;

    /// Takes items out of a conversation, by their ids. The links they are in, and who goes on from those, keep them.
    fn remove_items(
        &self,
        principal: &str,
        id: &str,
        items: Vec<String>,
        fence: Fence,
    ) -> Answer<'_, Option<Arc<Conversation>>>;

    /// Says whether it was there. Its responses stay; what else it was made of goes, unless others go on from that.
    fn delete_conversation(&self, principal: &str, id: &str) -> Answer<'_, bool>;
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// Later ones have greater ids.
    pub id: String,
    /// No two of a principal have the same.
    pub name: Option<String>,
    /// Unix time in seconds.
    pub created_at: u64,
    pub metadata: Map<String, Value>,
    /// The last link of its chain; `None` while nothing has been said.
    pub head: Option<String>,
    /// Ids of the items that were taken out of it.
    pub removed: BTreeSet<String>,
}

/// What came of the wish to have the head of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// By the one who asked. The fence is a new one each time.
    Taken(Fence),
    /// Another has it, until then if it is not prolonged.
    Held { until: Millis },
}

/// How a conversation is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationKey {
    Id(String),
    Name(String),
}
