//! Whatever is asked of a store, in whatever order, it answers as the model does.

use crate::Subject;
use crate::make::{beginning, events, finished, id, lease, new_run, response, run};
use crate::model::{ENDED_AT, Limits, Model};
use nuncio::core::journal::Told;
use nuncio::core::ports::journals::{Batch, Fence, IdempotencyKey, NewRun, Promise};
use nuncio::store::memory::MemoryStore;
use nuncio::store::sqlite::{Settings, SqliteStore};
use proptest::prelude::*;
use proptest::sample::select;
use std::num::NonZeroUsize;
use std::path::Path;

/// One thing asked of a store. Responses and runs are given by their number, from the first one on.
#[derive(Clone, Debug)]
enum Asked {
    Keep {
        principal: &'static str,
        previous: Option<u128>,
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

fn asked() -> impl Strategy<Value = Asked> {
    let principal = || select(vec!["ann", "ann", "bob"]);
    let number = || 0..NUMBERS;
    let previous = || prop::option::of(0..NUMBERS);
    let owner = || select(vec!["p1", "p2"]);
    let fence = || 1..3u64;
    let promise = select(vec![Promise::Process, Promise::Start, Promise::Outcome]);
    let key = prop::option::of((select(vec!["k", "l"]), 0..10u64));
    prop_oneof![
        4 => (principal(), previous()).prop_map(|(principal, previous)| Asked::Keep { principal, previous }),
        3 => (principal(), number()).prop_map(|(principal, number)| Asked::Response { principal, number }),
        3 => (principal(), number()).prop_map(|(principal, number)| Asked::Chain { principal, number }),
        1 => (principal(), number()).prop_map(|(principal, number)| Asked::Delete { principal, number }),
        3 => (principal(), previous(), key)
            .prop_map(|(principal, previous, key)| Asked::Begin { principal, previous, key }),
        4 => (number(), fence(), 0..4u64, 0..3usize, promise)
            .prop_map(|(number, fence, at, count, promise)| Asked::Append { number, fence, at, count, promise }),
        4 => (number(), fence()).prop_map(|(number, fence)| Asked::End { number, fence }),
        2 => (principal(), number(), 0..6u64).prop_map(|(principal, number, after)| Asked::Tail { principal, number, after }),
        1 => (principal(), previous(), 0..5usize)
            .prop_map(|(principal, before, at_most)| Asked::Runs { principal, before, at_most }),
        1 => (owner(), 0..40u64, 0..3usize).prop_map(|(owner, now, at_most)| Asked::Claim { owner, now, at_most }),
        1 => (owner(), 0..40u64).prop_map(|(owner, until)| Asked::Renew { owner, until }),
        1 => (number(), fence()).prop_map(|(number, fence)| Asked::Release { number, fence }),
    ]
}

/// Asks the store and the model the same, and compares.
struct Trial<'a, S> {
    store: &'a S,
    model: Model,
    next: u128,
    /// Time, for the keys.
    now: u64,
}

impl<S: Subject> Trial<'_, S> {
    async fn ask(&mut self, asked: &Asked) -> Result<(), TestCaseError> {
        let (store, model, of) = (self.store, &mut self.model, |number: &u128| id(*number));
        match asked {
            Asked::Keep { principal, previous } => {
                let new = response(&id(self.next), previous.as_ref().map(of).as_deref());
                self.next += 1;
                model.keep(principal, new.clone());
                store.keep_response(principal, new).await.unwrap();
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
                let begun = beginning(&id(self.next), previous.as_ref().map(of).as_deref());
                let new = NewRun { key, response: begun, ..new_run(self.next, principal, None) };
                self.next += 1;
                let begun = store.begin(new.clone(), lease("p1", 20)).await.unwrap();
                prop_assert_eq!(begun, model.begin(new, lease("p1", 20)));
            }
            Asked::Append { number, fence, at, count, promise } => {
                let told = events(&["a ", "b ", "c"]).into_iter().skip(*at as usize).take(*count).collect();
                let batch = Batch { at: *at, told, promise: *promise, ended_at: None };
                let appended = store.append(run(*number), Fence(*fence), batch.clone()).await;
                prop_assert_eq!(appended, model.append(run(*number), Fence(*fence), batch));
            }
            Asked::End { number, fence } => {
                let tail = ["ann", "bob"].into_iter().find_map(|who| model.tail(who, run(*number), 0));
                let at = tail.map_or(0, |tail| tail.journal.len());
                let told = vec![Told { sequence: 99, event: finished() }];
                let batch = Batch { at, told, promise: Promise::Outcome, ended_at: Some(ENDED_AT) };
                let appended = store.append(run(*number), Fence(*fence), batch.clone()).await;
                prop_assert_eq!(appended, model.append(run(*number), Fence(*fence), batch));
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
            for number in 0..self.next {
                self.ask(&Asked::Tail { principal, number, after: 0 }).await?;
                self.ask(&Asked::Chain { principal, number }).await?;
                self.ask(&Asked::Response { principal, number }).await?;
            }
        }
        Ok(())
    }
}

/// Rows that should not be there, or say what is not so.
fn wrong_rows(path: &Path) -> u64 {
    let sql = "SELECT count(*) FROM links AS link LEFT JOIN contents ON contents.link = link.pk
               LEFT JOIN running ON running.link = link.pk
               WHERE children <> (SELECT count(*) FROM links WHERE parent = link.pk)
               OR (state = 0) <> (running.link IS NOT NULL)
               OR (state = 2) <> (contents.link IS NULL)
               OR (state = 2 AND (children = 0 OR link.run IS NOT NULL))
               OR (state = 1 AND (request IS NOT NULL OR journal IS NULL OR bytes <> length(head)
                   + length(coalesce(instructions, '')) + length(input) + length(journal)))
               UNION ALL SELECT count(*) FROM told WHERE link NOT IN (SELECT link FROM running)
               UNION ALL SELECT count(*) FROM contents WHERE link NOT IN (SELECT pk FROM links)";
    let db = rusqlite::Connection::open(path).unwrap();
    let mut counts = db.prepare(sql).unwrap();
    counts.query_map([], |row| row.get::<_, u64>(0)).unwrap().map(Result::unwrap).sum()
}

fn run_async<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

const UNLIMITED: Limits = Limits { responses: usize::MAX, bytes: usize::MAX };

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(UNLIMITED),
        (0..5usize).prop_map(|responses| Limits { responses, ..UNLIMITED }),
        (1000..4000usize).prop_map(|bytes| Limits { bytes, ..UNLIMITED }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_is_like_the_model(all in prop::collection::vec(asked(), 0..80)) {
        let store = MemoryStore::new(NonZeroUsize::MIN);
        let mut trial = Trial { store: &store, model: Model::new(UNLIMITED), next: 0, now: 0 };
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
        let mut trial = Trial { store: &store, model: Model::new(limits), next: 0, now: 0 };
        run_async(async {
            for asked in &all {
                trial.ask(asked).await?;
            }
            trial.compare().await
        })?;
        let Trial { model, next, .. } = trial;
        drop(store);
        prop_assert_eq!(wrong_rows(&settings.path), 0);
        let store = SqliteStore::open(&settings).unwrap();
        run_async(Trial { store: &store, model, next, now: 0 }.compare())?;
    }
}
