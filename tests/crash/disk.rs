//! A disk that does not do its part, under a daemon that runs: real faults of the kernel and of the file.

use crate::harness::{House, Reader, until};
use crate::invariants::{check, check_database};
use crate::support::{client, command};
use reqwest::Method;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const PAGE: usize = 8192;

/// Status, `Retry-After` and body of an answer.
async fn ask(house: &House, method: Method, path: &str, body: Option<&Value>) -> (u16, Option<String>, Value) {
    let mut request = client().request(method, house.daemon().url(path));
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers());
    let retry_after = headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (status, retry_after, response.json().await.unwrap())
}

async fn post(house: &House, body: Value) -> Value {
    let (status, _, answer) = ask(house, Method::POST, "/v1/responses", Some(&body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn is_unavailable(house: &House, method: Method, path: &str, body: Option<&Value>) {
    let message = "What this request needs cannot be stored or read at the moment. See /health.";
    let error = json!({"message": message, "type": "server_error", "param": null, "code": "store_unavailable"});
    let expected = (503, Some("5".to_owned()), json!({"error": error}));
    assert_eq!(ask(house, method.clone(), path, body).await, expected, "{method} {path}");
}

/// The word of `/health`, and what is wrong with the store.
async fn health(house: &House) -> (String, Option<String>) {
    let (status, _, plain) = ask(house, Method::GET, "/health", None).await;
    let (_, _, detailed) = ask(house, Method::GET, "/health/detailed", None).await;
    assert_eq!((status, &plain["status"]), (200, &detailed["status"]));
    assert_eq!(detailed["store"]["status"], plain["status"]);
    (plain["status"].as_str().unwrap().to_owned(), detailed["store"]["problem"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_file_that_cannot_be_written_to_fails_what_must_be_stored_and_nothing_else() {
    let mut house = House::new("");
    let kept = post(&house, json!({"model": "nuncio", "input": "say: Kept"})).await;
    let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
    let id = house.begin("count: 200 20ms", json!({})).await;
    let mut reader = Reader::default();
    reader.read(&house, &id, 10).await;
    house.daemon().limit_files(Some(0));
    // What runs ends as failed, and is told so.
    reader.read(&house, &id, usize::MAX).await;
    let failed = house.get(&id).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));
    let hello = json!({"model": "nuncio", "input": "say: Hello"});
    let mut in_conversation = hello.clone();
    in_conversation["conversation"] = json!("new");
    let in_background = json!({"model": "nuncio", "input": "say: Hello", "background": true});
    for body in [&hello, &in_conversation, &in_background] {
        is_unavailable(&house, Method::POST, "/v1/responses", Some(body)).await;
    }
    is_unavailable(&house, Method::DELETE, &path, None).await;
    is_unavailable(&house, Method::POST, "/v1/conversations", Some(&json!({}))).await;
    let (word, problem) = health(&house).await;
    assert_eq!(word, "degraded");
    assert!(problem.unwrap().contains("nuncio.db: "));
    // What is stored is read, and what needs no store is answered.
    assert_eq!(ask(&house, Method::GET, &path, None).await, (200, None, kept.clone()));
    let unstored = post(&house, json!({"model": "nuncio", "input": "say: Hello", "store": false})).await;
    assert_eq!(unstored["status"], "completed");
    let chat = json!({"model": "nuncio", "messages": [{"role": "user", "content": "say: Hello"}]});
    assert_eq!(ask(&house, Method::POST, "/v1/chat/completions", Some(&chat)).await.0, 200);
    // A turn that the client goes on with is answered as long as it has seen all of it. The server's part is with the
    // store alone: without it the model would be told of half a turn.
    let turn = |script: &str| json!({"model": "nuncio", "messages": [{"role": "user", "content": script}], "tools": [{"type": "function", "function": {"name": "ask"}}]});
    let (status, _, seen) = ask(&house, Method::POST, "/v1/chat/completions", Some(&turn("call: ask {}"))).await;
    assert_eq!((status, &seen["choices"][0]["finish_reason"]), (200, &json!("tool_calls")));
    let (status, _, unseen) =
        ask(&house, Method::POST, "/v1/chat/completions", Some(&turn("call: list_files {}\ncall: ask {}"))).await;
    assert_eq!((status, &unseen["error"]["code"]), (503, &json!("store_unavailable")), "{unseen}");

    house.daemon().limit_files(None);
    until(async || ask(&house, Method::GET, "/health", None).await.2["status"] == "ok").await;
    assert_eq!(health(&house).await, ("ok".to_owned(), None));
    let after = post(&house, in_conversation).await;
    until(async || house.daemon().log().contains("the end of a run is stored now")).await;
    house.crash();
    assert_eq!(check(&house, &id, &reader).await, failed);
    assert_eq!(house.get(kept["id"].as_str().unwrap()).await, kept);
    assert_eq!(house.get(after["id"].as_str().unwrap()).await, after);
    check_database(&house.kill().path().join("data"));
}

/// A small file system over a folder, for as long as this is held. Only root may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        match mount("tmpfs", folder, "tmpfs", MountFlags::NODEV | MountFlags::NOSUID, c"size=1m,mode=0700") {
            Ok(()) => Some(Self(folder.to_owned())),
            Err(error) => {
                eprintln!("skipped: no tmpfs can be mounted here: {error}");
                None
            }
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no room on it.
    fn fill(&self) {
        let mut filler = OpenOptions::new().append(true).create(true).open(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_fails_what_must_be_stored_and_nothing_that_was() {
    let mut house = House::new("");
    let folder = house.kill();
    let Some(disk) = SmallDisk::over(&folder.path().join("data")) else { return };
    house.start(folder);
    let kept = post(&house, json!({"model": "nuncio", "input": "say: Kept"})).await;
    let id = house.begin("count: 200 20ms", json!({})).await;
    let mut reader = Reader::default();
    reader.read(&house, &id, 10).await;
    disk.fill();
    // The log of writes has room of its own for a while.
    let large = json!({"model": "nuncio", "input": format!("say: {}", "word ".repeat(20_000))});
    until(async || ask(&house, Method::POST, "/v1/responses", Some(&large)).await.0 == 503).await;
    assert_eq!(health(&house).await.0, "degraded");
    assert_eq!(house.get(kept["id"].as_str().unwrap()).await, kept);
    std::fs::remove_file(disk.filler()).unwrap();
    until(async || ask(&house, Method::GET, "/health", None).await.2["status"] == "ok").await;
    let after = post(&house, json!({"model": "nuncio", "input": "say: After"})).await;
    reader.read(&house, &id, usize::MAX).await;
    let ended = house.get(&id).await;
    assert!(matches!(ended["status"].as_str(), Some("failed" | "completed")), "{ended}");
    house.crash();
    assert_eq!(check(&house, &id, &reader).await, ended);
    for response in [kept, after] {
        assert_eq!(house.get(response["id"].as_str().unwrap()).await, response);
    }
    let folder = house.kill();
    check_database(&folder.path().join("data"));
    drop(disk);
}

#[tokio::test]
async fn a_damaged_page_fails_what_needs_it_and_the_next_start() {
    let mut house = House::new("");
    let mut said = Vec::new();
    for word in ["sound", "damaged"] {
        let input = format!("say: Yes\n{}", word.repeat(20_000));
        said.push(post(&house, json!({"model": "nuncio", "input": input})).await);
    }
    // Everything is in the file itself then, and nothing in anybody's memory.
    let folder = house.stop(Signal::TERM);
    house.start(folder);
    let database = house.daemon().folder.path().join("data/nuncio.db");
    damage(&database, "damageddamaged");
    let [sound, damaged] = [0, 1].map(|at: usize| said[at]["id"].as_str().unwrap());
    let items = |id: &str| format!("/v1/responses/{id}/input_items");
    for path in [format!("/v1/responses/{damaged}"), items(damaged)] {
        is_unavailable(&house, Method::GET, &path, None).await;
    }
    let (word, problem) = health(&house).await;
    assert_eq!(word, "degraded");
    assert!(problem.unwrap().contains("it is damaged: stop the daemon and see docs/durability.md"));
    let on = |id: &str| json!({"model": "nuncio", "input": "say: On", "previous_response_id": id});
    is_unavailable(&house, Method::POST, "/v1/responses", Some(&on(damaged))).await;
    assert_eq!(house.get(sound).await, said[0]);
    assert_eq!(post(&house, on(sound)).await["status"], "completed");

    let folder = house.kill();
    let refused = command(folder.path()).args(["--port", "0"]).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    for word in ["nuncio.db is damaged", "Put a backup in its place", "docs/durability.md"] {
        assert!(text.contains(word), "{text}");
    }
}

/// Overwrites the pages of a file that hold this text and nothing else.
fn damage(path: &Path, text: &str) {
    let (mut content, mut pages) = (std::fs::read(path).unwrap(), 0);
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for page in content.chunks_mut(PAGE) {
        if holds(&page[..PAGE / 8]) && holds(&page[PAGE - PAGE / 8..]) {
            page.fill(0xff);
            pages += 1;
        }
    }
    assert!(pages > 1);
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&content, 0).unwrap();
}
