//! `/health`, `/v1/health` and `/health/detailed`.

use crate::raw::{ask, local};
use crate::support::{Daemon, client};
use serde_json::{Value, json};

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
