//! The port to what outlives a request: sessions found by their history, turns that wait for a client's tools, and
//! responses that a client may ask for again.

use super::conversations::Conversations;
use super::journals::{Fence, Journals};
use super::notes::Notes;
use crate::core::item::Item;
use crate::core::journal::Journal;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// A store. Everything in it belongs to a principal; another principal's data is as good as absent.
pub trait Store: Conversations + Journals + Notes {
    /// The session whose conversation has this fingerprint; `None` also where two sessions have the same one.
    fn session(&self, principal: &str, fingerprint: Fingerprint) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

    /// Binds a fingerprint. One that is bound to another session leads to neither from then on: whose it is cannot be
    /// told, and one person's files must not be shown to another.
    fn remember_session(
        &self,
        principal: &str,
        fingerprint: Fingerprint,
        session: String,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The turn that ended with this client call: all its items, those the client never saw included.
    fn turn(&self, principal: &str, call_id: &str) -> BoxFuture<'_, Result<Option<Turn>, StoreError>>;

    fn keep_turn(&self, principal: &str, call_ids: &[String], turn: Turn) -> BoxFuture<'_, Result<(), StoreError>>;

    fn response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Arc<StoredResponse>>, StoreError>>;

    /// What each key stands for, wherever among the inputs and outputs of responses it is.
    fn items(&self, principal: &str, keys: &[ItemKey]) -> BoxFuture<'_, Result<Vec<Found>, StoreError>>;

    /// A link and all that it goes on from, the first of them first. `None` if any of them is not there.
    fn chain(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<Option<Chain>, StoreError>>;

    /// Stores a response. One that names a conversation goes on from the head of it, whatever it says itself, and is its
    /// head from then on, if `fence` is that of who has it; where the conversation is gone, or there is no fence, it is
    /// stored alone.
    fn keep_response(
        &self,
        principal: &str,
        response: StoredResponse,
        fence: Option<Fence>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Says whether it was there. What was kept of its turns goes with it. As long as others go on from it, [`Link::Gone`]
    /// stays in its place.
    fn delete_response(&self, principal: &str, id: &str) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// How it is doing. Asks for nothing that takes time.
    fn health(&self) -> Health;
}

/// What an operator wants to know of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub kind: &'static str,
    /// Where it is, if it is anywhere.
    pub path: Option<String>,
    /// What it takes there.
    pub bytes: u64,
    pub responses: u64,
    /// Why what is asked of it fails, until something works again.
    pub trouble: Option<String>,
}

/// A hash over a conversation up to its last answer (see `transcript::trace`).
pub type Fingerprint = [u8; 32];

/// How an item of a stored response is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemKey {
    Id(String),
    /// A call that a server has run, by its call id, with its output: to clients the two are one item. Of a call that
    /// was cut off nothing is left.
    Call(String),
}

/// The items that a key stands for, if any.
pub type Found = Option<Vec<Arc<Item>>>;

/// The items one run has made.
pub type Turn = Arc<[Arc<Item>]>;

/// What one response adds to its conversation, and what its client was told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResponse {
    pub id: String,
    /// The link that this one goes on from.
    pub previous: Option<String>,
    /// The conversation that it has become a part of.
    pub conversation: Option<String>,
    /// Of this response alone: those of the first one of a chain tell which session the chain has.
    pub instructions: Option<String>,
    /// What this request brought, without the history; each item has an id.
    pub input: Turn,
    /// The items that `journal` ends with.
    pub output: Turn,
    /// How the response began, as the dialect's own JSON. With the journal it makes the object and its stream.
    pub head: String,
    pub journal: Arc<Journal>,
    /// Unix seconds.
    pub ended_at: Option<u64>,
}

impl StoredResponse {
    /// Bytes that it takes, near enough. The output is part of the journal.
    pub fn weight(&self) -> usize {
        let input = self.input.iter().map(|item| item.weight()).fold(0, usize::saturating_add);
        let instructions = self.instructions.as_ref().map_or(0, String::len);
        [self.head.len(), input, self.journal.bytes(), instructions].into_iter().fold(256, usize::saturating_add)
    }
}

/// Items that a client has put into a conversation without asking for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedItems {
    pub id: String,
    pub previous: Option<String>,
    pub conversation: String,
    /// Each has an id.
    pub items: Turn,
}

/// One link of a chain: it adds to what the links before it say, and never repeats it.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    Response(Arc<StoredResponse>),
    Items(Arc<AddedItems>),
    /// What is left of a link that was deleted, or was too old, while others go on from it.
    Gone {
        id: String,
        previous: Option<String>,
        conversation: Option<String>,
    },
}

/// A link and all that it goes on from, the first of them first.
pub type Chain = Vec<Link>;

impl Link {
    pub fn id(&self) -> &str {
        match self {
            Self::Response(response) => &response.id,
            Self::Items(added) => &added.id,
            Self::Gone { id, .. } => id,
        }
    }

    pub fn previous(&self) -> Option<&str> {
        match self {
            Self::Response(response) => response.previous.as_deref(),
            Self::Items(added) => added.previous.as_deref(),
            Self::Gone { previous, .. } => previous.as_deref(),
        }
    }

    pub fn conversation(&self) -> Option<&str> {
        match self {
            Self::Response(response) => response.conversation.as_deref(),
            Self::Items(added) => Some(&added.conversation),
            Self::Gone { conversation, .. } => conversation.as_deref(),
        }
    }

    /// What it adds, in order.
    pub fn items(&self) -> impl Iterator<Item = &Arc<Item>> + Clone {
        let (brought, made) = match self {
            Self::Response(response) => (&*response.input, &*response.output),
            Self::Items(added) => (&*added.items, [].as_slice()),
            Self::Gone { .. } => ([].as_slice(), [].as_slice()),
        };
        brought.iter().chain(made)
    }

    pub fn instructions(&self) -> Option<&str> {
        match self {
            Self::Response(response) => response.instructions.as_deref(),
            Self::Items(_) | Self::Gone { .. } => None,
        }
    }

    /// Bytes that it takes, near enough.
    pub fn weight(&self) -> usize {
        match self {
            Self::Response(response) => response.weight(),
            Self::Items(added) => added.items.iter().map(|item| item.weight()).fold(256, usize::saturating_add),
            Self::Gone { .. } => 256,
        }
    }
}

/// The store could not do what was asked; the texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store failed: {0}")]
    Failed(String),
    /// Another process has taken the run or the conversation over, or it is not there any more.
    #[error("it belongs to another process")]
    Fenced,
    /// The journal does not end where it was taken to.
    #[error("the journal ends at {0}, not where it was expected to")]
    Misplaced(u64),
}
