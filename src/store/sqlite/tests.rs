//! What only the inside can bring about: faults of the disk, other versions, and a count of what is written.

use super::*;
use crate::core::event::{Outcome, RunEvent};
use crate::core::id::RunId;
use crate::core::item::{Item, Message, Role};
use crate::core::journal::{Journal, Told};
use crate::core::notes::NoteChange;
use crate::core::ports::conversations::{Conversations, Taken};
use crate::core::ports::journals::{Batch, Ending, Fence, Journals, Lease, NewRun};
use crate::core::ports::notes::Notes;
use crate::core::ports::store::Link;
use futures_util::future::join_all;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use uuid::Uuid;

fn store(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&Settings::at(&folder.path().join("nuncio.db"))).unwrap()
}

fn finished(sequence: u64) -> Told {
    Told { sequence, event: RunEvent::Finished { outcome: Outcome::Completed } }
}

fn response(id: &str, previous: Option<&str>, bytes: usize) -> StoredResponse {
    let mut journal = Journal::default();
    journal.push(finished(2));
    StoredResponse {
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        conversation: None,
        instructions: None,
        input: [Arc::new(Item::Message(Message::of(Role::User, "x".repeat(bytes))))].into(),
        output: [].into(),
        head: "{}".into(),
        journal: Arc::new(journal),
        ended_at: Some(1),
    }
}

async fn pragma(store: &SqliteStore, sql: &'static str) {
    let set = move |tables: &mut Tables| Ok(tables.db.query_row(sql, [], |_| Ok(()))?);
    store.order(Promise::Process, set).await.unwrap();
}

async fn has(store: &SqliteStore, id: &str) -> bool {
    store.response("ann", id).await.unwrap().is_some()
}

#[tokio::test]
async fn a_full_disk_fails_what_has_no_room_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    store.keep_response("ann", response("before", None, 100), None).await.unwrap();
    pragma(&store, "PRAGMA max_page_count = 60").await;
    let sizes = [10, 900_000, 10, 10, 900_000, 10];
    let keep =
        |(number, bytes)| store.keep_response("ann", response(&format!("r{number}"), Some("before"), bytes), None);
    let kept = join_all(sizes.into_iter().enumerate().map(keep)).await;
    let full =
        format!("{}: there is no room left: make some on its disk (database or disk is full)", store.path.display());
    let expected = sizes.map(|bytes| if bytes > 10 { Err(StoreError::Failed(full.clone())) } else { Ok(()) });
    assert_eq!(kept, expected);
    for (number, bytes) in sizes.into_iter().enumerate() {
        assert_eq!(has(&store, &format!("r{number}")).await, bytes == 10, "r{number}");
    }

    let lone = store.keep_response("ann", response("lone", None, 900_000), None).await;
    assert_eq!(lone, Err(StoreError::Failed(full.clone())));
    assert_eq!(store.health().trouble, Some(full));
    assert!(has(&store, "before").await, "what is there can be read");
    pragma(&store, "PRAGMA max_page_count = 1000000").await;
    store.keep_response("ann", response("lone", None, 900_000), None).await.unwrap();
    assert_eq!((store.health().trouble, store.health().responses), (None, 6));
}

/// As SQLite does by itself where it sees no other way.
#[tokio::test]
async fn a_transaction_that_is_given_up_is_done_over_order_by_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let hold_up = store.order(Promise::Process, |_| {
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    });
    let give_up = || {
        store.order(Promise::Process, |tables| {
            tables.db.execute_batch("ROLLBACK")?;
            Err::<(), _>(StoreError::Failed("given up".into()).into())
        })
    };
    let [a, b] = ["a", "b"].map(|id| store.keep_response("ann", response(id, None, 10), None));
    let (.., a, given_up, b) = futures_util::join!(hold_up, a, give_up(), b);
    assert_eq!((a, given_up, b), (Ok(()), Err(StoreError::Failed("given up".into())), Ok(())));
    assert!(has(&store, "a").await && has(&store, "b").await);
    assert!(store.delete_response("ann", "a").await.unwrap());
    assert_eq!(store.health().responses, 1);
}

#[tokio::test]
async fn a_turn_that_nobody_comes_back_for_is_forgotten_after_a_day() {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let clock = || NOW.load(Ordering::Relaxed);
    let settings = Settings { clock, ..Settings::at(&folder.path().join("nuncio.db")) };
    let store = SqliteStore::open(&settings).unwrap();
    store.keep_turn("ann", &["c1".into()], [].into()).await.unwrap();
    NOW.fetch_add(23 * 3_600_000, Ordering::Relaxed);
    store.keep_turn("ann", &["c2".into()], [].into()).await.unwrap();
    assert!(store.turn("ann", "c1").await.unwrap().is_some());
    NOW.fetch_add(3_600_000, Ordering::Relaxed);
    store.order(Promise::Process, sessions::trim_turns).await.unwrap();
    assert!(store.turn("ann", "c1").await.unwrap().is_none() && store.turn("ann", "c2").await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_cannot_be_written_to_is_still_read_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    store.keep_response("ann", response("before", None, 100), None).await.unwrap();
    let written = store.order(Promise::Process, |tables| {
        tables.db.execute_batch("PRAGMA query_only = ON")?;
        let written = tables.principal("bob");
        tables.db.execute_batch("PRAGMA query_only = OFF")?;
        Ok(written?)
    });
    let text = format!(
        "{}: it cannot be written to: see to its owner and mode, and its file system (attempt to write a readonly \
         database)",
        store.path.display()
    );
    assert_eq!(written.await, Err(StoreError::Failed(text.clone())));
    assert!(store.renew(Lease { owner: "nobody".into(), until: 0 }).await.is_ok());
    assert_eq!(store.health().trouble, Some(text), "nothing was written since");
    assert!(has(&store, "before").await);
    store.keep_response("ann", response("a", None, 100), None).await.unwrap();
    assert_eq!(store.health().trouble, None);
}

#[tokio::test]
async fn a_damaged_page_fails_what_needs_it_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let before = store(&folder);
    for id in ["a", "b"] {
        before.keep_response("ann", response(id, None, 50_000), None).await.unwrap();
    }
    drop(before);
    let store = store(&folder);
    // The last pages are of the text of `b`.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let size = file.metadata().unwrap().len();
    file.write_all_at(&[0xff; 30_000], size - 30_000).unwrap();
    let StoreError::Failed(text) = store.response("ann", "b").await.unwrap_err() else { panic!("not damaged") };
    assert!(text.contains("it is damaged: stop the daemon and see docs/durability.md"), "{text}");
    assert_eq!(store.health().trouble, Some(text));
    assert!(has(&store, "a").await);
    store.keep_response("ann", response("c", Some("a"), 100), None).await.unwrap();
    assert_eq!(store.health().trouble, None);
    drop(store);
    let error = SqliteStore::open(&Settings::at(&path)).err().unwrap().to_string();
    assert!(error.contains("is damaged") && error.contains(&*path.to_string_lossy()), "{error}");
}

/// A turn of a chain, written as the run that it is.
async fn turn(store: &SqliteStore, previous: Option<String>) -> String {
    let run = RunId::new(Uuid::now_v7());
    let begun = response(&run.answer("resp_"), previous.as_deref(), 1000);
    let id = begun.id.clone();
    let ending = Ending { at: 7, previous: begun.previous.clone(), ..Ending::default() };
    let new = NewRun { run, principal: "ann".into(), response: begun, request: "{}".into(), key: None };
    store.begin(new, Lease { owner: "p".into(), until: 0 }).await.unwrap();
    for (at, told) in [(0, vec![]), (0, vec![Told { sequence: 2, event: RunEvent::Started }]), (1, vec![finished(3)])] {
        let batch = Batch { at, told, promise: Promise::Outcome, end: Some(ending.clone()) };
        store.append(run, Fence(1), batch).await.unwrap();
    }
    id
}

#[tokio::test]
async fn a_turn_writes_as_many_rows_however_long_its_chain_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let rows = || store.order(Promise::Process, |tables| Ok(tables.db.total_changes()));
    let (mut last, mut written) = (None, Vec::new());
    for _ in 0..1000 {
        let before = rows().await.unwrap();
        last = Some(turn(&store, last).await);
        written.push(rows().await.unwrap() - before);
    }
    assert_eq!(written[1..], [written[1]; 999]);
    assert!(written[1] < 12, "{}", written[1]);
}

/// The version of the tables.
const NOW: usize = schema::STEPS.len();

#[tokio::test]
async fn an_older_store_is_copied_before_it_is_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("nuncio.db"), folder.path().join(format!("nuncio.db.v{NOW}.bak")));
    let old = store(&folder);
    old.keep_response("ann", response("a", None, 100), None).await.unwrap();
    drop(old);

    let next = |steps: &[&'static str]| [&[""; NOW][..], steps].concat();
    let broken = next(&["CREATE TABLE news (at INTEGER); CREATE TABLE links (twice INTEGER)"]);
    let error = open(&path, &broken).err().unwrap().to_string();
    assert!(error.contains("table links already exists"), "{error}");
    let versions = next(&["ALTER TABLE links ADD COLUMN news TEXT", "CREATE TABLE more (at INTEGER)"]);
    let Opened { db, lock } = open(&path, &versions).unwrap();
    assert_eq!(schema::version(&db).unwrap(), NOW + 2, "the broken step has left nothing");
    assert_eq!(db.query_row("SELECT count(*) FROM links WHERE news IS NULL", [], |row| row.get(0)), Ok(1));
    for size in [0, opening::CHECKED + 1] {
        assert!(opening::check(&db, &path, size).is_ok());
    }
    drop((db, lock));

    let error = SqliteStore::open(&Settings::at(&path)).err().unwrap().to_string();
    let expected = format!(
        "the store {path} is from a newer nuncio: its tables are of version {}, and this one knows {NOW}. Start the newer \
         one, or put the copy from before its upgrade, {path}.v*.bak, in its place",
        NOW + 2,
        path = path.display()
    );
    assert_eq!(error, expected);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    fs::rename(&copy, &path).unwrap();
    let back = SqliteStore::open(&Settings::at(&path)).unwrap();
    assert!(has(&back, "a").await);
    let asked =
        |tables: &mut Tables| Ok(tables.db.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0))?);
    assert_eq!(back.order(Promise::Process, asked).await, Ok(2), "the copy gives room back as the first one did");
}

#[tokio::test]
async fn a_store_of_the_first_version_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let first = open(&path, &schema::STEPS[..1]).unwrap();
    let sql = "INSERT INTO principals VALUES (1, 'ann');
               INSERT INTO links (pk, principal, id, state, head, stored, used, bytes) VALUES (1, 1, 'items_1', 3, 1, 5, 5, 2);
               INSERT INTO contents (link, head, input) VALUES (1, '', '[]');
               INSERT INTO conversations VALUES (1, 1, 'conv_1', NULL, 7, '{}', '[]', 1, 6, 256)";
    first.db.execute_batch(sql).unwrap();
    drop(first);
    let store = store(&folder);
    let lease = Lease { owner: "p".into(), until: 9 };
    assert_eq!(store.take_head("ann", "conv_1", lease, 0).await, Ok(Some(Taken::Taken(Fence(1)))));
    let response = StoredResponse { conversation: Some("conv_1".into()), ..response("resp_1", None, 10) };
    assert_eq!(store.keep_response("ann", response, Some(Fence(1))).await, Ok(()));
    let chain = store.chain("ann", "resp_1").await.unwrap().unwrap();
    assert_eq!(chain.iter().map(Link::id).collect::<Vec<_>>(), ["items_1", "resp_1"]);
    let copy = rusqlite::Connection::open(folder.path().join("nuncio.db.v1.bak")).unwrap();
    assert_eq!(schema::version(&copy).unwrap(), 1);
}

#[tokio::test]
async fn the_notebook_that_was_not_changed_for_longest_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let open = || SqliteStore::open(&Settings { max_notebooks: 2, ..Settings::at(&path) }).unwrap();
    let store = open();
    let add = async |principal: &str, scope: u8, text: &str| {
        let change = NoteChange::Add { text: text.to_owned() };
        store.change_notes(principal, [scope; 32], change, 1000).await.unwrap().outcome.unwrap();
    };
    add("bob", 1, "of another principal").await;
    for (scope, text) in [(1, "a"), (2, "b"), (1, "c"), (3, "d")] {
        add("ann", scope, text).await;
    }
    drop(store);
    let store = open();
    let mut left = Vec::new();
    for (principal, scope) in [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 1)] {
        left.push(store.notebook(principal, [scope; 32]).await.unwrap().notes().len());
    }
    assert_eq!(left, [2, 0, 1, 1], "also after a restart");
}

/// Nor in the log beside it.
#[tokio::test]
async fn a_note_that_was_removed_or_replaced_is_in_the_file_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let has = |text: &str| {
        ["nuncio.db", "nuncio.db-wal"].iter().any(|file| {
            let bytes = fs::read(folder.path().join(file)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    let change = async |change| store.change_notes("ann", [1; 32], change, 1000).await.unwrap().outcome.unwrap();
    for text in ["first secret", "second secret"] {
        change(NoteChange::Add { text: text.to_owned() }).await;
    }
    assert!(has("first secret") && has("second secret"));
    change(NoteChange::Replace { number: 1, text: "nothing".into() }).await;
    change(NoteChange::Remove { number: 2 }).await;
    assert!(has("nothing") && !has("first secret") && !has("second secret"));
}
