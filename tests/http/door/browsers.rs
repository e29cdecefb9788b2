//! Web pages, and names that lead here.

use super::{chat, error};
use crate::raw::{Answer, ask, local, request};
use crate::support::{Daemon, REHEARSAL};
use nuncio::config::auth::KeyHash;

const LISTED: &str = "https://chat.example.org";

fn daemon(with_key: bool) -> Daemon {
    let server = "server: {cors_origins: ['https://chat.example.org', 'app://obsidian.md'], allowed_hosts: [chat.lan]}";
    let auth = format!("auth: {{keys: [{{name: bob, hash: '{}'}}]}}", KeyHash::of("bobs-key"));
    Daemon::with(&format!("{REHEARSAL}{server}\n{}\n", if with_key { &auth } else { "" }))
}

async fn post(daemon: &Daemon, headers: &str) -> Answer {
    let head = format!("POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json\n{headers}");
    ask(daemon.address(), &local(head.trim_end(), chat("Hello").to_string())).await
}

fn preflight(origin: &str, headers: &str) -> Vec<u8> {
    let head = format!(
        "OPTIONS /v1/chat/completions HTTP/1.1\nOrigin: {origin}\nAccess-Control-Request-Method: POST\n\
         Access-Control-Request-Headers: {headers}"
    );
    local(&head, "")
}

/// The headers of an answer that let a page of another origin in.
fn cors(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn without_a_key_no_page_gets_in_but_a_listed_one() {
    let daemon = daemon(false);
    let refusal = error(
        "invalid_request_error",
        "origin_not_allowed",
        "This origin is not allowed: list it in `server.cors_origins`, or configure a key.",
    );
    let own = daemon.base.clone();
    let strangers = [
        "https://evil.example",
        "null",
        "",
        "*",
        "http://localhost:3000",
        own.as_str(),
        "http://chat.example.org",
        "https://chat.example.org:8443",
        "https://chat.example.org.evil.example",
        "https://evil.example/https://chat.example.org",
        "https://chat.example.org https://evil.example",
        "https://chat.example.orgé",
    ];
    for origin in strangers {
        let simple = local(&format!("GET /v1/models HTTP/1.1\nOrigin: {origin}"), "");
        for request in [simple, preflight(origin, "content-type")] {
            let answer = ask(daemon.address(), &request).await;
            assert_eq!((answer.status, answer.json(), cors(&answer)), (403, refusal.clone(), vec![]), "{origin}");
            assert_eq!(answer.list("vary"), ["origin"]);
        }
        assert_eq!(post(&daemon, &format!("Origin: {origin}")).await.status, 403, "{origin}");
    }
    let both = format!("Origin: {LISTED}\nOrigin: https://evil.example");
    assert_eq!(post(&daemon, &both).await.status, 403, "two origins");
    for origin in [LISTED, "app://obsidian.md"] {
        let answer = post(&daemon, &format!("Origin: {origin}")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin)));
    }
    assert_eq!(post(&daemon, "").await.status, 200, "no page at all");
}

#[tokio::test]
async fn without_a_key_only_our_own_names_are_answered_to() {
    let daemon = daemon(false);
    let refusal = error(
        "invalid_request_error",
        "host_not_allowed",
        "This host is not ours: ask for the address we listen on, or list the name in `server.allowed_hosts`.",
    );
    let own = daemon.address().to_owned();
    let ours = [
        "127.0.0.1",
        &own,
        "127.0.0.1:1",
        "127.5.5.5",
        "localhost",
        "LOCALHOST:8642",
        "[::1]",
        "[::1]:80",
        "chat.lan",
        "Chat.LAN:80",
    ];
    for host in ours {
        let answer = ask(daemon.address(), &to(&format!("Host: {host}"))).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let theirs = [
        "evil.example",
        "evil.example:8642",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "chat.lan.evil.example",
        "evilchat.lan",
        "0.0.0.0",
        "192.168.1.5",
        "[::2]",
        "::1",
        "",
        "127.0.0.1, evil.example",
        "127.0.0.1 evil.example",
        "localhost@evil.example",
        "http://localhost",
        "localhosté",
    ];
    for host in theirs {
        let answer = ask(daemon.address(), &to(&format!("Host: {host}"))).await;
        assert_eq!((answer.status, answer.json()), (421, refusal.clone()), "{host}");
        assert_eq!(answer.list("vary"), ["origin"]);
    }
    assert_eq!(ask(daemon.address(), &to("X-None: 1")).await.status, 421, "no host");
    let both = ask(daemon.address(), &to("Host: localhost\nHost: evil.example")).await;
    assert_eq!(both.status, 421, "two hosts");
    let health = request("GET /health HTTP/1.1\nHost: evil.example\nConnection: close", "");
    assert_eq!(ask(daemon.address(), &health).await.status, 421, "health is told to nobody else either");
}

fn to(host: &str) -> Vec<u8> {
    request(&format!("GET /v1/models HTTP/1.1\n{host}\nConnection: close"), "")
}

#[tokio::test]
async fn the_host_in_the_request_line_counts_before_the_header() {
    let daemon = daemon(false);
    for (line, host, status) in [
        ("GET http://evil.example/v1/models", "127.0.0.1", 421),
        ("GET http://127.0.0.1/v1/models", "evil.example", 200),
        ("GET http://chat.lan:80/v1/models", "chat.lan", 200),
        ("CONNECT evil.example:443", "127.0.0.1", 421),
        ("CONNECT 127.0.0.1:443", "127.0.0.1", 404),
    ] {
        let head = format!("{line} HTTP/1.1\nHost: {host}\nConnection: close");
        let answer = ask(daemon.address(), &request(&head, "")).await;
        assert_eq!(answer.status, status, "{line}");
    }
}

#[tokio::test]
async fn with_a_key_pages_and_names_are_free_and_cors_is_for_the_listed() {
    let daemon = daemon(true);
    let key = "Authorization: Bearer bobs-key";
    for origin in ["https://evil.example", "null"] {
        let answer = post(&daemon, &format!("{key}\nOrigin: {origin}")).await;
        assert_eq!((answer.status, cors(&answer), answer.list("vary")), (200, vec![], vec!["origin".to_owned()]));
        let answer = ask(daemon.address(), &preflight(origin, "authorization")).await;
        assert_eq!((answer.status, cors(&answer), answer.list("vary")), (200, vec![], vec!["origin".to_owned()]));
    }
    let head = format!("GET /v1/models HTTP/1.1\nHost: nuncio.example.org\nConnection: close\n{key}");
    assert_eq!(ask(daemon.address(), &request(&head, "")).await.status, 200);

    // A page must be able to read why it was refused.
    for (authorization, status) in [(key, 200), ("Authorization: Bearer wrong", 401)] {
        let answer = post(&daemon, &format!("{authorization}\nOrigin: {LISTED}")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(LISTED)));
        assert_eq!(answer.list("access-control-expose-headers"), ["retry-after", "x-request-id", "x-should-retry"]);
        assert_eq!(answer.list("vary"), ["origin"]);
    }
}

#[tokio::test]
async fn a_preflight_allows_what_clients_send() {
    let mut headers = vec![
        "authorization",
        "content-type",
        "idempotency-key",
        "session-id",
        "thread-id",
        "user-agent",
        "x-client-request-id",
        "x-hermes-session-id",
        "x-hermes-session-key",
        "x-nuncio-session",
        "x-openwebui-chat-id",
        "x-openwebui-user-email",
        "x-openwebui-user-id",
        "x-openwebui-user-name",
        "x-openwebui-user-role",
        "x-request-id",
        "x-session-id",
        "x-stainless-arch",
        "x-stainless-lang",
        "x-stainless-os",
        "x-stainless-package-version",
        "x-stainless-retry-count",
        "x-stainless-runtime",
        "x-stainless-runtime-version",
        "x-stainless-timeout",
    ];
    headers.sort_unstable();
    for with_key in [false, true] {
        let daemon = daemon(with_key);
        let answer = ask(daemon.address(), &preflight(LISTED, &headers.join(","))).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"".as_slice()));
        assert_eq!(answer.header("access-control-allow-origin"), Some(LISTED));
        assert_eq!(answer.list("access-control-allow-headers"), headers);
        assert_eq!(answer.list("access-control-allow-methods"), ["delete", "get", "post"]);
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.list("vary"), ["origin"]);
        // Keys are sent in a header; a page must not be able to use what the browser holds for us.
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}
