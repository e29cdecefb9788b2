//! What is on the disk, whatever happens to the process; and what is not there any more.

use crate::make::{batch, ending, events, finished, id, lease, message, new_run, response, run};
use nuncio::core::event::{Delta, RunEvent};
use nuncio::core::item::Role;
use nuncio::core::journal::Told;
use nuncio::core::ports::conversations::{Conversation, Conversations};
use nuncio::core::ports::journals::{Batch, Begun, Fence, Journals, Promise};
use nuncio::core::ports::store::{AddedItems, Store, StoredResponse};
use nuncio::store::sqlite::{Settings, SqliteStore};
use rusqlite::Connection;
use serde_json::Map;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(&Settings::at(path)).unwrap()
}

fn refused(path: &Path) -> String {
    SqliteStore::open(&Settings::at(path)).err().unwrap().to_string()
}

/// Where a test run as a child has its store.
const STORE: &str = "NUNCIO_TEST_STORE";

/// Runs one of the tests below in a process of its own.
#[expect(clippy::disallowed_methods, reason = "a process to kill")]
fn child(test: &str, store: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", &format!("durability::{test}")]).env(STORE, store);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What a child says, its test harness left out.
fn said(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.split_once("said ").map(|(_, said)| said.to_owned()))
}

/// The event of this number of a run.
fn word(number: u128, at: u64) -> Told {
    let delta = Delta::Text(format!("{number}.{at} "));
    Told { sequence: at, event: RunEvent::Delta { index: 0, delta } }
}

/// Runs that tell on and on, three at a time; whatever the store has answered is said.
#[tokio::test]
#[ignore = "is run by the test below, which kills it"]
async fn tells_until_it_is_killed() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let store = open(Path::new(&path));
    let tell = async |lane: u128| {
        for number in (lane..).step_by(3) {
            let begun = store.begin(new_run(number, "ann", None), lease("p", 0)).await.unwrap();
            assert_eq!(begun, Begun::Begun(Fence(1)));
            let promises = [Promise::Process, Promise::Start, Promise::Outcome];
            for (at, promise) in (0..40).zip(promises.into_iter().cycle()) {
                store.append(run(number), Fence(1), batch(at, &[word(number, at)], promise)).await.unwrap();
                println!("said {number} {}", at + 1);
            }
            let last = Told { sequence: 40, event: finished() };
            let last = Batch { end: ending(1, None), ..batch(40, &[last], Promise::Outcome) };
            store.append(run(number), Fence(1), last).await.unwrap();
            println!("said {number} 41");
        }
    };
    futures_util::future::join_all([tell(0), tell(1), tell(2)]).await;
}

/// A run and how many of its events were answered for; the kill may have cut the last line.
fn answer(said: &str) -> Option<(u128, u64)> {
    let (number, told) = said.split_once(' ')?;
    Some((number.parse().ok()?, told.parse().ok()?))
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    for lines in [1, 7, 40, 41, 100, 125, 333, 800] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nuncio.db");
        let mut child = child("tells_until_it_is_killed", &path);
        let mut answered = BTreeMap::new();
        let mut said = said(&mut child);
        answered.extend(said.by_ref().take(lines).filter_map(|line| answer(&line)));
        child.kill().unwrap();
        child.wait().unwrap();
        answered.extend(said.filter_map(|line| answer(&line)));

        let db = Connection::open(&path).unwrap();
        assert_eq!(db.query_row("PRAGMA integrity_check", [], |row| row.get(0)), Ok("ok".to_owned()));
        drop(db);
        let store = open(&path);
        for (number, told) in &answered {
            let tail = store.tail("ann", run(*number), 0).await.unwrap().unwrap();
            let (len, ended) = (tail.journal.len(), tail.ended);
            assert!(len >= *told && ended == (len == 41), "run {number} has {len} of {told} events");
            let expected: Vec<Told> = (0..len.min(40)).map(|at| word(*number, at)).collect();
            assert_eq!(tail.journal.told().take(40).collect::<Vec<_>>(), expected);
            assert_eq!(store.response("ann", &id(*number)).await.unwrap().is_some(), ended);
        }
        let left = store.claim(lease("q", 1), 0, 99).await.unwrap();
        assert!((1..=3).contains(&left.len()), "{} runs were in progress", left.len());
        for claimed in left {
            let next = claimed.response.journal.len();
            store.append(claimed.run, claimed.fence, batch(next, &events(&[])[..1], Promise::Process)).await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "is run by the test below"]
async fn holds_the_store() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let _store = open(Path::new(&path));
    println!("said open");
    // Until the other side is closed.
    drop(std::io::stdin().lines().next());
}

#[test]
fn a_second_daemon_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let mut child = child("holds_the_store", &path);
    assert_eq!(said(&mut child).next().as_deref(), Some("open"));
    let expected = format!(
        "the store {path} is in use by another daemon, process {}, which holds {path}.lock. Stop that one, or give this \
         one a folder of its own with --data-dir",
        child.id(),
        path = path.display(),
    );
    assert_eq!(refused(&path), expected);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(open(&path));
    drop(open(&path));
}

#[tokio::test]
async fn a_store_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let store = open(&path);
    store.keep_response("ann", response("a", None), None).await.unwrap();
    let mut modes = BTreeMap::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        modes.insert(file.file_name().into_string().unwrap(), mode);
    }
    let expected =
        ["nuncio.db", "nuncio.db-shm", "nuncio.db-wal", "nuncio.db.lock"].map(|name| (name.to_owned(), 0o600));
    assert_eq!(modes, BTreeMap::from(expected));
}

#[test]
fn what_is_no_usable_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let way_out = format!(
        "Put a backup in its place, or move {path} and {path}-wal away to begin with an empty store; `sqlite3 {path} \
         .recover` may save some of it. See docs/durability.md",
        path = path.display()
    );
    fs::write(&path, "no database at all, but long enough for a header: ".repeat(20)).unwrap();
    let text = refused(&path);
    assert!(text.contains("is damaged: file is not a database") && text.ends_with(&way_out), "{text}");
    assert!(fs::read_to_string(&path).unwrap().starts_with("no database"));

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let text = refused(&path);
    assert!(text.contains("is not a database of nuncio. Move it away"), "{text}");
    assert_eq!(Connection::open(&path).unwrap().query_row("SELECT count(*) FROM theirs", [], |row| row.get(0)), Ok(0));

    let nowhere = folder.path().join("nowhere/nuncio.db");
    let text = refused(&nowhere);
    assert!(text.contains("cannot be used: No such file") && text.contains("--data-dir"), "{text}");
    assert!(refused(folder.path()).contains("cannot be used: Is a directory"));
}

#[tokio::test]
async fn a_page_of_garbage_is_found_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuncio.db");
    let store = open(&path);
    for number in 0..200 {
        store.keep_response("ann", response(&id(number), None), None).await.unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 8192 * 8192;
    bytes[middle..middle + 8192].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let text = refused(&path);
    assert!(text.contains(&format!("{} is damaged", path.display())) && text.contains("docs/durability.md"), "{text}");
}

/// Whether a text is anywhere in the files of a folder.
fn is_in(folder: &Path, text: &str) -> bool {
    let holds =
        |file: fs::DirEntry| fs::read(file.path()).unwrap().windows(text.len()).any(|window| window == text.as_bytes());
    fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|file| !file.path().ends_with("nuncio.db-shm")).any(holds)
}

#[tokio::test]
async fn what_is_deleted_is_on_the_disk_no_more() {
    const SECRETS: [&str; 5] =
        ["secret-question", "secret-instructions", "secret-head", "secret-answer", "secret-request"];
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("nuncio.db"));
    store.keep_response("ann", response(&id(1), None), None).await.unwrap();
    let mut new = new_run(2, "ann", Some(&id(1)));
    new.request = "{\"asked\":\"secret-request\"}".into();
    new.response = StoredResponse {
        input: [Arc::new(message("msg_1", Role::User, &"secret-question".repeat(2000)))].into(),
        instructions: Some("secret-instructions".into()),
        head: "{\"metadata\":\"secret-head\"}".into(),
        ..new.response
    };
    store.begin(new, lease("p", 0)).await.unwrap();
    let told = events(&["it is ", "secret-answer", " and no other"]);
    for (at, told) in (0..).zip(&told) {
        let last = matches!(told.event, RunEvent::Finished { .. });
        let batch = Batch {
            end: if last { ending(1, Some(&id(1))) } else { None },
            ..batch(at, std::slice::from_ref(told), Promise::Outcome)
        };
        store.append(run(2), Fence(1), batch).await.unwrap();
    }
    store.keep_response("ann", response(&id(3), Some(&id(2))), None).await.unwrap();
    assert_eq!(SECRETS.map(|secret| is_in(folder.path(), secret)), [true; 5]);
    assert!(store.delete_response("ann", &id(2)).await.unwrap());
    assert_eq!(SECRETS.map(|secret| is_in(folder.path(), secret)), [false; 5]);
    assert!(store.response("ann", &id(3)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_only_a_deleted_conversation_held_is_on_the_disk_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("nuncio.db"));
    let metadata = Map::from_iter([("topic".into(), "secret-topic".into())]);
    let new =
        Conversation { id: "conv_1".into(), name: Some("secret-name".into()), metadata, ..Conversation::default() };
    store.begin_conversation("ann", new).await.unwrap();
    let items = [Arc::new(message("msg_1", Role::User, "secret-words"))].into();
    let added = AddedItems { id: "link_1".into(), previous: None, conversation: "conv_1".into(), items };
    assert!(store.add_items("ann", added, Fence::FIRST).await.unwrap());
    const SECRETS: [&str; 3] = ["secret-topic", "secret-name", "secret-words"];
    assert_eq!(SECRETS.map(|secret| is_in(folder.path(), secret)), [true; 3]);
    assert!(store.delete_conversation("ann", "conv_1").await.unwrap());
    assert_eq!(SECRETS.map(|secret| is_in(folder.path(), secret)), [false; 3]);
}

/// The command of docs/durability.md, while the store is in use.
#[tokio::test]
async fn a_backup_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("nuncio.db"), folder.path().join("backup.db"));
    let store = open(&path);
    for number in 0..50 {
        store.keep_response("ann", response(&id(number), None), None).await.unwrap();
    }
    store.begin(new_run(50, "ann", Some(&id(49))), lease("p", 0)).await.unwrap();
    let copy = async {
        let (from, to) = (path.clone(), backup.clone());
        let copied = move || Connection::open(from)?.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
        tokio::task::spawn_blocking(copied).await.unwrap().unwrap();
    };
    let meanwhile = (51..90).map(|number| store.keep_response("ann", response(&id(number), None), None));
    let (_, kept) = futures_util::future::join(copy, futures_util::future::join_all(meanwhile)).await;
    kept.into_iter().for_each(Result::unwrap);
    let copy = open(&backup);
    for number in 0..50 {
        assert_eq!(copy.response("ann", &id(number)).await, store.response("ann", &id(number)).await);
    }
    assert_eq!(copy.claim(lease("q", 1), 0, 9).await, store.claim(lease("q", 1), 0, 9).await);
}
