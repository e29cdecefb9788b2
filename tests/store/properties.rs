//! Whatever is asked of a store, in whatever order, it answers as the model does.

use crate::Subject;
use crate::make::{beginning, events, finished, id, lease, new_run, response, run, turn};
use crate::model::{ENDED_AT, Limits, Model};
use nuncio::core::journal::Told;
use nuncio::core::ports::conversations::{Conversation, ConversationKey};
use nuncio::core::ports::journals::{Batch, Ending, Fence, IdempotencyKey, NewRun, Promise};
use nuncio::core::ports::store::{AddedItems, ItemKey, StoredResponse};
use nuncio::store::memory::MemoryStore;
use nuncio::store::sqlite::{Settings, SqliteStore};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Map;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// One thing asked of a store. Responses and runs are given by their number, from the first one on. `late` says by how
/// much a conversation's fence is not that of who has the head.
#[derive(Clone, Debug)]
enum Asked {
    Keep {
        principal: &'static str,
        previous: Option<u128>,
        conversation: Option<u128>,
        late: Option<u64>,
    },
    Items {
        principal: &'static str,
        ids: [&'static str; 2],
    },
    BeginConversation {
        principal: &'static str,
        name: Option<&'static str>,
    },
    Conversation {
        principal: &'static str,
        key: Result<u128, &'static str>,
    },
    Conversations {
        principal: &'static str,
        after: Option<u128>,
        limit: usize,
        newest_first: bool,
    },
    ChangeConversation {
        principal: &'static str,
        number: u128,
        /// `None` for a change of the metadata.
        removes: Option<u64>,
    },
    AddItems {
        principal: &'static str,
        number: u128,
        late: u64,
    },
    TakeHead {
        principal: &'static str,
        number: u128,
        owner: &'static str,
        now: u64,
    },
    GiveHeadBack {
        principal: &'static str,
        number: u128,
        late: u64,
    },
    DeleteConversation {
        principal: &'static str,
        number: u128,
    },
    Response {
        principal: &'static str,
        number: u128,
    },
    Chain {
        principal: &'static str,
        number: u128,
    },
    Delete {
        principal: &'static str,
        number: u128,
    },
    /// The key comes with the time that has passed since the last one.
    Begin {
        principal: &'static str,
        previous: Option<u128>,
        key: Option<(&'static str, u64)>,
    },
    Append {
        number: u128,
        fence: u64,
        at: u64,
        count: usize,
        promise: Promise,
    },
    End {
        number: u128,
        fence: u64,
        conversation: Option<u128>,
        late: u64,
    },
    Tail {
        principal: &'static str,
        number: u128,
        after: u64,
    },
    Runs {
        principal: &'static str,
        before: Option<u128>,
        at_most: usize,
    },
    Claim {
        owner: &'static str,
        now: u64,
        at_most: usize,
    },
    Renew {
        owner: &'static str,
        until: u64,
    },
    Release {
        number: u128,
        fence: u64,
    },
}

/// Numbers up to this are asked for, of which most exist after a while.
const NUMBERS: u128 = 14;
const CONVERSATIONS: u128 = 4;

fn conversation_id(number: u128) -> String {
    format!("conv_{number}")
}

fn asked() -> impl Strategy<Value = Asked> {
    let principal = || select(vec!["ann", "ann", "bob"]);
    let number = || 0..NUMBERS;
    let previous = || prop::option::of(0..NUMBERS);
    let owner = || select(vec!["p1", "p2"]);
    let fence = || 1..3u64;
    let promise = select(vec![Promise::Process, Promise::Start, Promise::Outcome]);
    let conversation = || prop::option::of(0..CONVERSATIONS);
    let late = || prop_oneof![4 => Just(0u64), 1 => Just(1u64)];
    let maybe_late = || prop_oneof![1 => Just(None), 4 => late().prop_map(Some)];
    let item = || select(vec!["msg_0", "msg_1", "msg_9", "other"]);
    let name = || prop::option::of(select(vec!["red", "blue"]));
    let key = || prop_oneof![(0..CONVERSATIONS).prop_map(Ok), select(vec!["red", "blue"]).prop_map(Err)];
    let idempotency = prop::option::of((select(vec!["k", "l"]), 0..10u64));
    prop_oneof![
        6 => (principal(), previous(), conversation(), maybe_late())
            .prop_map(|(principal, previous, conversation, late)| Asked::Keep { principal, previous, conversation, late }),
        2 => (principal(), [item(), item()]).prop_map(|(principal, ids)| Asked::Items { principal, ids }),
        3 => (principal(), name()).prop_map(|(principal, name)| Asked::BeginConversation { principal, name }),
        2 => (principal(), key()).prop_map(|(principal, key)| Asked::Conversation { principal, key }),
        1 => (principal(), conversation(), 0..5usize, any::<bool>()).prop_map(|(principal, after, limit, newest_first)| {
            Asked::Conversations { principal, after, limit, newest_first }
        }),
        1 => (principal(), 0..CONVERSATIONS, maybe_late())
            .prop_map(|(principal, number, removes)| Asked::ChangeConversation { principal, number, removes }),
        2 => (principal(), 0..CONVERSATIONS, late())
            .prop_map(|(principal, number, late)| Asked::AddItems { principal, number, late }),
        3 => (principal(), 0..CONVERSATIONS, owner(), 0..40u64)
            .prop_map(|(principal, number, owner, now)| Asked::TakeHead { principal, number, owner, now }),
        1 => (principal(), 0..CONVERSATIONS, late())
            .prop_map(|(principal, number, late)| Asked::GiveHeadBack { principal, number, late }),
        1 => (principal(), 0..CONVERSATIONS)
            .prop_map(|(principal, number)| Asked::DeleteConversation { principal, number }),
        3 => (principal(), number()).prop_map(|(principal, number)| Asked::Response { principal, number }),
        3 => (principal(), number()).prop_map(|(principal, number)| Asked::Chain { principal, number }),
        2 => (principal(), number()).prop_map(|(principal, number)| Asked::Delete { principal, number }),
        3 => (principal(), previous(), idempotency)
            .prop_map(|(principal, previous, key)| Asked::Begin { principal, previous, key }),
        4 => (number(), fence(), 0..4u64, 0..3usize, promise)
            .prop_map(|(number, fence, at, count, promise)| Asked::Append { number, fence, at, count, promise }),
        4 => (number(), fence(), conversation(), late())
            .prop_map(|(number, fence, conversation, late)| Asked::End { number, fence, conversation, late }),
        2 => (principal(), number(), 0..6u64).prop_map(|(principal, number, after)| Asked::Tail { principal, number, after }),
        1 => (principal(), previous(), 0..5usize)
            .prop_map(|(principal, before, at_most)| Asked::Runs { principal, before, at_most }),
        1 => (owner(), 0..40u64, 0..3usize).prop_map(|(owner, now, at_most)| Asked::Claim { owner, now, at_most }),
        1 => (owner(), 0..40u64).prop_map(|(owner, until)| Asked::Renew { owner, until }),
        1 => (number(), fence()).prop_map(|(number, fence)| Asked::Release { number, fence }),
    ]
}

/// The id of a response, if it is one that can be gone on from; else an id that there never is.
fn stored(model: &Model, principal: &str, number: u128) -> String {
    Some(id(number)).filter(|id| model.has(principal, id)).unwrap_or_else(|| "resp_never".to_owned())
}

/// Asks the store and the model the same, and compares.
struct Trial<'a, S> {
    store: &'a S,
    model: Model,
    next: u128,
    conversations: u128,
    /// Time, for the keys.
    now: u64,
}

/// The fence of who has the head of a conversation, or one that is no more, or not yet.
fn late_fence(model: &mut Model, principal: &str, conversation: &str, late: u64) -> Fence {
    let Fence(current) = model.fence(principal, conversation);
    Fence(current.checked_sub(late).unwrap_or(current + late))
}

impl<S: Subject> Trial<'_, S> {
    async fn ask(&mut self, asked: &Asked) -> Result<(), TestCaseError> {
        let (store, model, of) = (self.store, &mut self.model, |number: &u128| id(*number));
        match asked {
            Asked::Keep { principal, previous, conversation, late } => {
                let previous = previous.map(|number| stored(model, principal, number));
                let conversation = conversation.map(conversation_id);
                let of = conversation.as_deref().unwrap_or_default();
                let fence = late.map(|late| late_fence(model, principal, of, late));
                let new = StoredResponse { conversation, ..response(&id(self.next), previous.as_deref()) };
                self.next += 1;
                let kept = store.keep_response(principal, new.clone(), fence).await;
                prop_assert_eq!(kept, model.keep(principal, new, fence));
            }
            Asked::Response { principal, number } => {
                let found = store.response(principal, &of(number)).await.unwrap();
                prop_assert_eq!(found, model.response(principal, &of(number)));
            }
            Asked::Chain { principal, number } => {
                let found = store.chain(principal, &of(number)).await.unwrap();
                prop_assert_eq!(found, model.chain(principal, &of(number)));
            }
            Asked::Delete { principal, number } => {
                let was_there = store.delete_response(principal, &of(number)).await.unwrap();
                prop_assert_eq!(was_there, model.delete(principal, &of(number)));
            }
            Asked::Begin { principal, previous, key } => {
                let key = key.map(|(key, passed)| {
                    self.now += passed;
                    let (key, now) = (key.to_owned(), self.now);
                    IdempotencyKey { key, body: [self.next as u8; 32], now, until: now + 15 }
                });
                let previous = previous.map(|number| stored(model, principal, number));
                let begun = beginning(&id(self.next), previous.as_deref());
                let new = NewRun { key, response: begun, ..new_run(self.next, principal, None) };
                self.next += 1;
                let begun = store.begin(new.clone(), lease("p1", 20)).await.unwrap();
                prop_assert_eq!(begun, model.begin(new, lease("p1", 20)));
            }
            Asked::Append { number, fence, at, count, promise } => {
                let told = events(&["a ", "b ", "c"]).into_iter().skip(*at as usize).take(*count).collect();
                let batch = Batch { at: *at, told, promise: *promise, end: None };
                let appended = store.append(run(*number), Fence(*fence), batch.clone()).await;
                prop_assert_eq!(appended, model.append(run(*number), Fence(*fence), batch));
            }
            Asked::End { number, fence, conversation, late } => {
                let owner = ["ann", "bob"].into_iter().find(|who| model.tail(who, run(*number), 0).is_some());
                let tail = owner.and_then(|who| model.tail(who, run(*number), 0));
                let at = tail.map_or(0, |tail| tail.journal.len());
                let told = vec![Told { sequence: 99, event: finished() }];
                let previous = model.begun_from(run(*number));
                let conversation = conversation.map(|conversation| {
                    let id = conversation_id(conversation);
                    let head = late_fence(model, owner.unwrap_or("ann"), &id, *late);
                    (id, head)
                });
                // Every other run is ended by one who has heard all of it.
                let heard = owner.filter(|_| number % 2 == 0).and_then(|who| model.tail(who, run(*number), 0));
                let journal = heard.map(|mut heard| {
                    told.iter().cloned().for_each(|told| heard.journal.push(told));
                    Arc::new(heard.journal)
                });
                let end = Some(Ending { at: ENDED_AT, previous, conversation, journal });
                let batch = Batch { at, told, promise: Promise::Outcome, end };
                let appended = store.append(run(*number), Fence(*fence), batch.clone()).await;
                prop_assert_eq!(appended, model.append(run(*number), Fence(*fence), batch));
            }
            Asked::Items { principal, ids } => {
                let keys = ids.map(|id| ItemKey::Id(id.to_owned()));
                let found = store.items(principal, &keys).await.unwrap();
                prop_assert_eq!(found, ids.map(|id| model.item(principal, id)));
            }
            Asked::BeginConversation { principal, name } => {
                let (id, name) = (conversation_id(self.conversations), name.map(str::to_owned));
                self.conversations += 1;
                let new = Conversation { id, name, created_at: 7, ..Conversation::default() };
                let begun = store.begin_conversation(principal, new.clone()).await.unwrap();
                prop_assert_eq!(&*begun, &model.begin_conversation(principal, new));
            }
            Asked::Conversation { principal, key } => {
                let key = match key {
                    Ok(number) => ConversationKey::Id(conversation_id(*number)),
                    Err(name) => ConversationKey::Name((*name).to_owned()),
                };
                let found = store.conversation(principal, &key).await.unwrap();
                prop_assert_eq!(found.as_deref(), model.conversation(principal, &key).map(|found| &*found));
            }
            Asked::Conversations { principal, after, limit, newest_first } => {
                let after = after.map(conversation_id);
                let found = store.conversations(principal, after.as_deref(), *limit, *newest_first).await.unwrap();
                let found: Vec<_> = found.iter().map(|found| Conversation::clone(found)).collect();
                prop_assert_eq!(found, model.conversations(principal, after.as_deref(), *limit, *newest_first));
            }
            Asked::ChangeConversation { principal, number, removes } => {
                let (id, item) = (conversation_id(*number), format!("msg_{}", self.next));
                let metadata = Map::from_iter([("told".to_owned(), item.clone().into())]);
                let fence = removes.map(|late| late_fence(model, principal, &id, late));
                let expected = model.change(principal, &id, fence, |expected| match fence {
                    Some(_) => drop(expected.removed.insert(item.clone())),
                    None => expected.metadata.clone_from(&metadata),
                });
                let changed = match fence {
                    Some(fence) => store.remove_items(principal, &id, vec![item], fence).await,
                    None => store.set_metadata(principal, &id, metadata).await,
                };
                prop_assert_eq!(changed.map(|found| found.as_deref().cloned()), expected);
            }
            Asked::TakeHead { principal, number, owner, now } => {
                let (id, lease) = (conversation_id(*number), lease(owner, now + 10));
                let taken = store.take_head(principal, &id, lease.clone(), *now).await.unwrap();
                prop_assert_eq!(taken, model.take_head(principal, &id, lease, *now));
            }
            Asked::GiveHeadBack { principal, number, late } => {
                let id = conversation_id(*number);
                let fence = late_fence(model, principal, &id, *late);
                let given_back = store.give_head_back(principal, &id, fence).await;
                prop_assert_eq!(given_back, model.give_head_back(principal, &id, fence));
            }
            Asked::AddItems { principal, number, late } => {
                let (id, items) = (id(self.next), turn(&format!("added {}", self.next)));
                self.next += 1;
                let added = AddedItems { id, previous: None, conversation: conversation_id(*number), items };
                let fence = late_fence(model, principal, &added.conversation, *late);
                let was_there = store.add_items(principal, added.clone(), fence).await;
                prop_assert_eq!(was_there, model.add_items(principal, added, fence));
            }
            Asked::DeleteConversation { principal, number } => {
                let was_there = store.delete_conversation(principal, &conversation_id(*number)).await.unwrap();
                prop_assert_eq!(was_there, model.delete_conversation(principal, &conversation_id(*number)));
            }
            Asked::Tail { principal, number, after } => {
                let found = store.tail(principal, run(*number), *after).await.unwrap();
                prop_assert_eq!(found, model.tail(principal, run(*number), *after));
            }
            Asked::Runs { principal, before, at_most } => {
                let found = store.runs(principal, before.map(run), *at_most).await.unwrap();
                prop_assert_eq!(found, model.runs(principal, before.map(run), *at_most));
            }
            Asked::Claim { owner, now, at_most } => {
                let claimed = store.claim(lease(owner, now + 10), *now, *at_most).await.unwrap();
                prop_assert_eq!(claimed, model.claim(&lease(owner, now + 10), *now, *at_most));
            }
            Asked::Renew { owner, until } => {
                store.renew(lease(owner, *until)).await.unwrap();
                model.renew(&lease(owner, *until));
            }
            Asked::Release { number, fence } => {
                let given_back = store.release(run(*number), Fence(*fence)).await;
                prop_assert_eq!(given_back, model.release(run(*number), Fence(*fence)));
            }
        }
        Ok(())
    }

    /// Compares everything that can be asked for.
    async fn compare(&mut self) -> Result<(), TestCaseError> {
        for principal in ["ann", "bob"] {
            self.ask(&Asked::Runs { principal, before: None, at_most: 99 }).await?;
            self.ask(&Asked::Conversations { principal, after: None, limit: 99, newest_first: false }).await?;
            self.ask(&Asked::Items { principal, ids: ["msg_0", "msg_1"] }).await?;
            for number in 0..self.next {
                self.ask(&Asked::Tail { principal, number, after: 0 }).await?;
                self.ask(&Asked::Chain { principal, number }).await?;
                self.ask(&Asked::Response { principal, number }).await?;
            }
        }
        Ok(())
    }
}

/// What is not so of the rows, of which each says where to look.
const WRONG: [&str; 12] = [
    "links AS link WHERE children <> (SELECT count(*) FROM links WHERE parent = link.pk)",
    "links WHERE (state = 0) <> (pk IN (SELECT link FROM running))",
    "links WHERE (state IN (2, 4)) <> (pk NOT IN (SELECT link FROM contents))",
    "links WHERE state = 2 AND (children + head = 0 OR run IS NOT NULL)",
    "links JOIN contents ON link = pk WHERE state = 1 AND (request IS NOT NULL OR journal IS NULL)",
    "links JOIN contents ON link = pk WHERE state = 1 AND bytes <> octet_length(contents.head)
     + octet_length(coalesce(instructions, '')) + octet_length(input) + octet_length(journal)",
    "told WHERE link NOT IN (SELECT link FROM running)",
    "contents WHERE link NOT IN (SELECT pk FROM links)",
    "items WHERE link NOT IN (SELECT pk FROM links WHERE state IN (1, 3))",
    "links WHERE state IN (1, 3) AND octet_length(keys) <> 8 * (SELECT count(*) FROM items WHERE link = pk)",
    "links WHERE head <> coalesce((SELECT 1 + (name IS NOT NULL) FROM conversations WHERE head = links.pk), 0)",
    "conversations WHERE head IS NOT NULL AND head NOT IN (SELECT pk FROM links)",
];

/// Those that hold for some row.
fn wrong_rows(path: &Path) -> Vec<&'static str> {
    let db = rusqlite::Connection::open(path).unwrap();
    let holds = |what: &&str| db.query_row(&format!("SELECT EXISTS (SELECT * FROM {what})"), [], |row| row.get(0));
    WRONG.into_iter().filter(|what| holds(what).unwrap()).collect()
}

fn run_async<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

const UNLIMITED: Limits = Limits { responses: usize::MAX, bytes: usize::MAX, runs_hold: true };

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(UNLIMITED),
        (0..5usize).prop_map(|responses| Limits { responses, ..UNLIMITED }),
        (1000..4000usize).prop_map(|bytes| Limits { bytes, ..UNLIMITED }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_like_the_model(all in prop::collection::vec(asked(), 0..80)) {
        let store = MemoryStore::new(NonZeroUsize::MIN);
        let model = Model::new(Limits { runs_hold: false, ..UNLIMITED });
        let mut trial = Trial { store: &store, model, next: 0, conversations: 0, now: 0 };
        run_async(async {
            for asked in &all {
                trial.ask(asked).await?;
            }
            trial.compare().await
        })?;
    }

    /// Also after it was closed and opened again.
    #[test]
    fn sqlite_is_like_the_model(all in prop::collection::vec(asked(), 0..80), limits in limits()) {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::at(&folder.path().join("nuncio.db"));
        (settings.max_responses, settings.max_bytes) = (limits.responses, limits.bytes as u64);
        let store = SqliteStore::open(&settings).unwrap();
        let mut trial = Trial { store: &store, model: Model::new(limits), next: 0, conversations: 0, now: 0 };
        run_async(async {
            for asked in &all {
                trial.ask(asked).await?;
            }
            trial.compare().await
        })?;
        let Trial { model, next, conversations, .. } = trial;
        drop(store);
        prop_assert_eq!(wrong_rows(&settings.path), [""; 0]);
        let store = SqliteStore::open(&settings).unwrap();
        run_async(Trial { store: &store, model, next, conversations, now: 0 }.compare())?;
    }
}
