//! `/health`, `/v1/health` and `/health/detailed`.

use crate::raw::{ask, local};
use crate::support::{Daemon, REHEARSAL, client, command};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::FileExt;

async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    let response = client().get(daemon.url(path)).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn health_is_one_word_and_the_version() {
    let daemon = Daemon::rehearsing();
    for path in ["/health", "/v1/health"] {
        let expected = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")});
        assert_eq!(get(&daemon, path).await, (200, expected), "{path}");
    }
}

/// Until something can be written again. What needs no store is answered meanwhile, so this is no reason for a 503.
#[tokio::test]
async fn a_store_in_trouble_is_said_and_is_no_reason_to_go_elsewhere() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("config.yaml"), REHEARSAL).unwrap();
    let start = || Daemon::of(command(data.path()), tempfile::tempdir().unwrap());
    let ask = async |daemon: &Daemon, input: &str| -> Value {
        let body = json!({"model": "nuncio", "input": input});
        client().post(daemon.url("/v1/responses")).json(&body).send().await.unwrap().json().await.unwrap()
    };
    let mut daemon = start();
    let long = ask(&daemon, &format!("echo: {}", "long ".repeat(20_000))).await;
    daemon.signal(Signal::TERM);
    daemon.ended();
    let emptied = rusqlite::Connection::open(data.path().join("data/nuncio.db")).unwrap();
    emptied.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(emptied);
    let daemon = start();
    // Its last pages are of the long text.
    let path = data.path().join("data/nuncio.db");
    let store = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    store.write_all_at(&[0xff; 30_000], store.metadata().unwrap().len() - 30_000).unwrap();
    let (status, body) = get(&daemon, &format!("/v1/responses/{}", long["id"].as_str().unwrap())).await;
    assert_eq!((status, &body["error"]["type"]), (503, &json!("server_error")));
    let problem = format!(
        "{}: it is damaged: stop the daemon and see docs/durability.md (database disk image is malformed)",
        path.display()
    );
    let expected = json!({"status": "degraded", "version": env!("CARGO_PKG_VERSION")});
    assert_eq!(get(&daemon, "/health").await, (200, expected));
    let (status, detailed) = get(&daemon, "/health/detailed").await;
    let told = (&detailed["status"], &detailed["store"]["status"], &detailed["store"]["problem"]);
    assert_eq!((status, told), (200, (&json!("degraded"), &json!("degraded"), &json!(problem))));
    assert_eq!(ask(&daemon, "echo: hi").await["status"], "completed");
    assert_eq!(get(&daemon, "/health").await.1["status"], "ok");
}

#[tokio::test]
async fn detailed_health_tells_of_each_upstream_and_its_last_error() {
    let yaml = "upstreams: {main: {kind: rehearsal}, gone: {base_url: 'http://127.0.0.1:9/v1', model: m, max_retries: 0}}\n\
                profiles: {ann: {upstream: main}, bob: {upstream: gone}}\n";
    let daemon = Daemon::with(yaml);
    let chat = json!({"model": "bob", "messages": [{"role": "user", "content": "Hello"}]});
    let head = "POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json";
    assert_eq!(ask(daemon.address(), &local(head, chat.to_string())).await.status, 502);
    let (status, mut detailed) = get(&daemon, "/health/detailed").await;
    let uptime = detailed["uptime_seconds"].take();
    assert!(detailed["store"]["bytes"].take().as_u64() > Some(0));
    // What is missing depends on the machine; where something is, commands are refused, and that is said.
    let sandbox = detailed["sandbox"].take();
    assert_eq!(sandbox["problems"].as_object().map(|problems| problems.is_empty()), Some(sandbox["status"] == "ok"));
    let gone = &mut detailed["upstreams"][0];
    let (problem, error) = (gone["problem"].take(), gone["last_error"].take());
    let expected = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": null,
        "runs_in_flight": 0,
        "models": ["ann", "bob"],
        "store": {
            "kind": "sqlite",
            "status": "ok",
            "problem": null,
            "path": daemon.folder.path().join("data/nuncio.db"),
            "bytes": null,
            "responses": 0,
        },
        "sandbox": null,
        "upstreams": [
            {
                "name": "gone",
                "base_url": "http://127.0.0.1:9/v1",
                "reachable": false,
                "models": null,
                "problem": null,
                "last_success": null,
                "last_error": null,
            },
            {
                "name": "rehearsal",
                "base_url": null,
                "reachable": true,
                "models": 1,
                "problem": null,
                "last_success": null,
                "last_error": null,
            },
        ],
    });
    assert_eq!((status, detailed), (200, expected));
    assert!(uptime.as_u64().is_some_and(|seconds| seconds < 3600), "{uptime}");
    let refused = |text: &Value| text.as_str().is_some_and(|text| text.contains("`gone` cannot be reached"));
    assert!(refused(&problem) && refused(&error["message"]) && error["at"].is_u64(), "{problem} {error}");
}
