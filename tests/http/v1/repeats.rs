//! Requests that are made again: by a key of the client's, or by its word that it tries again.

use crate::support::{Daemon, REHEARSAL, SHARING, client};
use nuncio::config::auth::KeyHash;
use serde_json::{Value, json};

const KEY: &str = "Idempotency-Key";
const RETRY: &str = "x-stainless-retry-count";
const ROUTES: [&str; 2] = ["/v1/responses", "/v1/chat/completions"];

fn body(route: &str, script: &str, stream: bool) -> Value {
    match route {
        "/v1/responses" => json!({"model": "nuncio", "input": script, "stream": stream}),
        _ => json!({"model": "nuncio", "messages": [{"role": "user", "content": script}], "stream": stream}),
    }
}

async fn ask(daemon: &Daemon, route: &str, headers: &[(&str, &str)], body: &Value) -> (u16, String) {
    let mut request = client().post(daemon.url(route)).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// A script that counts how often it was run.
fn counting(daemon: &Daemon, name: &str) -> (String, std::path::PathBuf) {
    let path = daemon.shared().join(name);
    (format!("run: echo x >> {}; sleep 0.3\nthen\nsay: Done.", path.display()), path)
}

fn runs(path: &std::path::Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

fn code(answer: &str) -> String {
    let error: Value = serde_json::from_str(answer).unwrap();
    error["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_key_stands_for_one_run_while_it_goes_on_and_after() {
    let daemon = Daemon::with(&format!("{REHEARSAL}{SHARING}"));
    for (number, (route, stream)) in ROUTES.iter().flat_map(|route| [(*route, false), (*route, true)]).enumerate() {
        let (script, path) = counting(&daemon, &format!("count{number}"));
        let (body, key) = (body(route, &script, stream), format!("key-{number}"));
        let named = [(KEY, key.as_str())];
        let once = || ask(&daemon, route, &named, &body);
        let (first, second, third) = tokio::join!(once(), once(), once());
        assert_eq!(first.0, 200, "{}", first.1);
        assert!(first == second && second == third, "{route}: {first:?}\n{second:?}\n{third:?}");
        assert_eq!(once().await, first, "{route}: after its end");
        assert_eq!(runs(&path), 1, "{route}, stream {stream}");
        // Another request under the same key.
        let (status, answer) = ask(&daemon, route, &[(KEY, &key)], &self::body(route, "say: Other", stream)).await;
        assert_eq!((status, code(&answer).as_str()), (409, "idempotency_key_reuse"));
    }
}

#[tokio::test]
async fn a_client_with_a_key_may_be_away_for_a_moment() {
    let daemon = Daemon::with(&format!("{REHEARSAL}{SHARING}"));
    for (number, route) in ROUTES.iter().enumerate() {
        let (script, path) = counting(&daemon, &format!("away{number}"));
        let (body, key) = (body(route, &format!("say: Begun\n{script}"), true), format!("away-{number}"));
        let request = client().post(daemon.url(route)).header(KEY, &key).json(&body);
        let mut left = request.send().await.unwrap();
        left.chunk().await.unwrap();
        drop(left);
        let (status, answer) = ask(&daemon, route, &[(KEY, &key)], &body).await;
        assert!(status == 200 && answer.contains("Done.") && answer.contains("[DONE]"), "{route}: {answer}");
        assert_eq!(runs(&path), 1);
    }
}

#[tokio::test]
async fn what_is_not_stored_has_its_key_in_memory() {
    let daemon = Daemon::with(&format!("{REHEARSAL}{SHARING}"));
    let (script, path) = counting(&daemon, "unstored");
    let mut body = body(ROUTES[0], &script, false);
    body["store"] = json!(false);
    let once = || ask(&daemon, ROUTES[0], &[(KEY, "k")], &body);
    let (first, second) = tokio::join!(once(), once());
    assert_eq!((first.0, &first.1), (200, &second.1));
    assert_eq!((once().await, runs(&path)), (first, 1));
}

#[tokio::test]
async fn a_reply_that_is_gone_is_not_made_again_and_keys_are_their_owners() {
    let key = |name: &str| format!("{{name: {name}, hash: '{}'}}", KeyHash::of(name));
    let daemon = Daemon::with(&format!("{REHEARSAL}{SHARING}auth: {{keys: [{}, {}]}}\n", key("ann"), key("bob")));
    let (ann, bob) = (("authorization", "Bearer ann"), ("authorization", "Bearer bob"));
    let (script, path) = counting(&daemon, "owned");
    let body = body(ROUTES[0], &script, false);
    let (_, of_ann) = ask(&daemon, ROUTES[0], &[ann, (KEY, "k")], &body).await;
    let (_, of_bob) = ask(&daemon, ROUTES[0], &[bob, (KEY, "k")], &body).await;
    let id = |answer: &str| serde_json::from_str::<Value>(answer).unwrap()["id"].as_str().unwrap().to_owned();
    assert_ne!(id(&of_ann), id(&of_bob));
    assert_eq!(runs(&path), 2);
    let gone = client().delete(daemon.url(&format!("/v1/responses/{}", id(&of_ann)))).bearer_auth("ann");
    assert_eq!(gone.send().await.unwrap().status(), 200);
    let (status, answer) = ask(&daemon, ROUTES[0], &[ann, (KEY, "k")], &body).await;
    assert_eq!((status, code(&answer).as_str(), runs(&path)), (410, "idempotency_reply_gone", 2));
    for key in ["", &"k".repeat(256)] {
        assert_eq!(ask(&daemon, ROUTES[0], &[ann, (KEY, key)], &body).await.0, 400);
    }
}

#[tokio::test]
async fn a_retry_without_a_key_comes_back_to_a_run_that_has_not_ended_for_its_client() {
    let daemon = Daemon::with(&format!("{REHEARSAL}{SHARING}"));
    for (number, route) in ROUTES.iter().enumerate() {
        let (script, path) = counting(&daemon, &format!("retry{number}"));
        let body = body(route, &format!("say: Begun\n{script}"), true);
        let begin = async |policy: &str| {
            let request = client().post(daemon.url(route)).header("X-Nuncio-On-Disconnect", policy).json(&body);
            let mut left = request.send().await.unwrap();
            left.chunk().await.unwrap();
        };
        begin("detach").await;
        let policy = ("X-Nuncio-On-Disconnect", "detach");
        let (status, answer) = ask(&daemon, route, &[(RETRY, "1"), policy], &body).await;
        assert!(status == 200 && answer.contains("Done."), "{route}: {answer}");
        assert_eq!(runs(&path), 1, "{route}");
        // A first try is a request of its own.
        ask(&daemon, route, &[(RETRY, "0"), policy], &body).await;
        assert_eq!(runs(&path), 2, "{route}");
    }
}
