//! `/v1/capabilities`.

use crate::support::{Daemon, client};
use nuncio::config::auth::KeyHash;
use serde_json::Value;
use std::collections::BTreeSet;

const KEY: &str = "the key of ann";

async fn capabilities(daemon: &Daemon) -> Value {
    let request = client().get(daemon.url("/v1/capabilities")).bearer_auth(KEY);
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

#[tokio::test]
async fn it_tells_what_there_is() {
    let hash = KeyHash::of(KEY);
    let daemon = Daemon::with(&format!(
        "upstreams:\n  default: {{kind: rehearsal}}\n  told: {{base_url: 'http://127.0.0.1:9/v1', model: m, structured_output: prompted}}\n\
         profiles:\n  ann: {{default: true, upstream: default}}\n  \
           bob: {{upstream: told, tools: [terminal], tool_activity: hidden, context_window: 8192, \
                  limits: {{steps: 3, wall_time: 90s, tool_time: 500ms, output_tokens: 1000}}}}\n\
         server: {{max_runs: 7, body_limit: 1MiB, websocket_time: 10m, unknown_model: default}}\n\
         auth: {{keys: [{{name: ann, hash: '{hash}', max_runs: 2}}]}}\n"
    ));
    let mut told = capabilities(&daemon).await;
    assert_eq!(told["version"].take(), env!("CARGO_PKG_VERSION"));
    insta::assert_json_snapshot!(told);
    let without_key = client().get(daemon.url("/v1/capabilities")).send().await.unwrap();
    assert_eq!(without_key.status(), 401);
}

/// The router of the daemon, as text: nothing that runs can list its routes.
const ROUTER: &str = include_str!("../../../src/http.rs");

#[tokio::test]
async fn the_endpoints_are_the_routes() {
    let daemon = Daemon::rehearsing();
    let mut routes = BTreeSet::new();
    for path in ROUTER.split('"').filter(|text| text.starts_with("/v1/")) {
        let refused = client().put(daemon.url(path)).send().await.unwrap();
        assert_eq!(refused.status(), 405, "{path}");
        let allowed = refused.headers()["allow"].to_str().unwrap().split(',').filter(|method| *method != "HEAD");
        routes.extend(allowed.map(|method| format!("{method} {}", path.replace("{*", "{"))));
    }
    let told = capabilities(&daemon).await["endpoints"].take();
    let told: BTreeSet<String> = serde_json::from_value(told).unwrap();
    assert_eq!(told, routes);
}
