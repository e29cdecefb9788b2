//! What it costs to keep what a run tells: `cargo bench --bench store`. `TMPDIR` says on which disk.

use divan::Bencher;
use nuncio::core::event::{Delta, RunEvent};
use nuncio::core::id::RunId;
use nuncio::core::item::{Item, Message, Role};
use nuncio::core::journal::Told;
use nuncio::core::ports::journals::{Batch, Fence, Journals, Lease, NewRun, Promise};
use nuncio::core::ports::store::{Store, StoredResponse};
use nuncio::store::sqlite::{Settings, SqliteStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

fn main() {
    divan::main();
}

struct Bench {
    runtime: Runtime,
    store: SqliteStore,
    _folder: TempDir,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = SqliteStore::open(&Settings::at(&folder.path().join("nuncio.db")))?;
        Ok(Self { runtime: Runtime::new()?, store, _folder: folder })
    }

    fn response(previous: Option<String>) -> (RunId, StoredResponse) {
        let run = RunId::new(Uuid::now_v7());
        let input = [Arc::new(Item::Message(Message::of(Role::User, "A question of some length".repeat(20))))].into();
        let (id, output, journal) = (run.answer("resp_"), [].into(), Arc::default());
        let (instructions, head, ended_at) = (None, "{}".to_owned(), None);
        (run, StoredResponse { id, previous, conversation: None, instructions, input, output, head, journal, ended_at })
    }

    async fn begin(&self) -> RunId {
        let (run, response) = Self::response(None);
        let new = NewRun { run, principal: "ann".into(), response, request: "{}".into(), key: None };
        let _ = self.store.begin(new, Lease { owner: "bench".into(), until: 0 }).await;
        run
    }

    async fn append(&self, run: RunId, at: u64, promise: Promise) {
        let delta = RunEvent::Delta { index: 0, delta: Delta::Text("word ".to_owned()) };
        let told = vec![Told { sequence: at, event: delta }];
        let appended = self.store.append(run, Fence(1), Batch { at, told, promise, end: None }).await;
        assert_eq!(appended, Ok(()));
    }
}

/// One event, from the call to its answer.
#[divan::bench(args = [Promise::Process, Promise::Outcome])]
fn append(bencher: Bencher, promise: Promise) {
    let Ok(bench) = Bench::new() else { return };
    let (run, at) = (bench.runtime.block_on(bench.begin()), AtomicU64::new(0));
    bencher.bench_local(|| {
        bench.runtime.block_on(bench.append(run, at.fetch_add(1, Ordering::Relaxed), promise));
    });
}

/// One event of each of 64 runs at the same time.
#[divan::bench(args = [Promise::Process, Promise::Outcome])]
fn append_from_64_runs(bencher: Bencher, promise: Promise) {
    let Ok(bench) = Bench::new() else { return };
    let runs: Vec<RunId> = (0..64).map(|_| bench.runtime.block_on(bench.begin())).collect();
    let at = AtomicU64::new(0);
    bencher.bench_local(|| {
        let at = at.fetch_add(1, Ordering::Relaxed);
        let all = runs.iter().map(|run| bench.append(*run, at, promise));
        bench.runtime.block_on(futures_util::future::join_all(all));
    });
}

#[divan::bench]
fn begin(bencher: Bencher) {
    let Ok(bench) = Bench::new() else { return };
    bencher.bench_local(|| bench.runtime.block_on(bench.begin()));
}

/// A chain that the store has read before, as it has when the next turn comes.
#[divan::bench(args = [1, 100])]
fn chain(bencher: Bencher, turns: usize) {
    let Ok(bench) = Bench::new() else { return };
    let mut last = None;
    for _ in 0..turns {
        let (_, response) = Bench::response(last.take());
        last = Some(response.id.clone());
        let _ = bench.runtime.block_on(bench.store.keep_response("ann", response, None));
    }
    let last = last.unwrap_or_default();
    bencher.bench_local(|| {
        let chain = bench.runtime.block_on(bench.store.chain("ann", &last));
        assert_eq!(chain.ok().flatten().map(|chain| chain.len()), Some(turns));
    });
}
