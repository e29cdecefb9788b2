//! What the log says of a request, and what it keeps to itself.

use super::chat;
use crate::raw::{ask, local};
use crate::support::{Daemon, REHEARSAL, client};
use nuncio::config::auth::KeyHash;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Stands in everything that a request may hold and no log line may.
const SECRET: &str = "pNeumono_ultra.Secret-42";

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let daemon = Daemon::rehearsing();
    let id = async |line: &str, header: &str| {
        let answer = ask(daemon.address(), &local(&format!("{line} HTTP/1.1\n{header}"), "")).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    let lines = [
        "GET /health",
        "GET /v1/models",
        "GET /nowhere",
        "DELETE /v1/models",
        "POST /v1/chat/completions",
        "OPTIONS /v1/models",
    ];
    let long = "x".repeat(128);
    for line in lines {
        for sane in ["abc", "Ab-9_:.z", "01a1fdc5-23a0-7219-b041-a06ff4753aa1", &long] {
            assert_eq!(id(line, &format!("X-Request-Id: {sane}")).await, sane, "{line}");
        }
        for insane in ["", "a b", "a\"b", "a,b", "id{x=1}", "é", &format!("{long}x")] {
            let made = id(line, &format!("X-Request-Id: {insane}")).await;
            let digits = made.strip_prefix("req_").unwrap_or_default();
            assert!(
                digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{line} {insane}: {made}"
            );
        }
        assert_ne!(id(line, "X-A: 1").await, id(line, "X-A: 1").await);
    }
}

#[tokio::test]
async fn every_log_line_of_a_request_has_its_id() {
    let daemon = Daemon::with(&format!("{REHEARSAL}log: {{format: json, filter: 'info,nuncio=trace'}}\n"));
    let before = daemon.log().lines().count();
    let mut body = chat("run: echo hello\ncall: read_file {\"path\": 5}\ncall: nobody\nthen\nsay: done");
    for (id, stream) in [("the-first", false), ("the-second", true)] {
        body["stream"] = stream.into();
        let request = client().post(daemon.url("/v1/chat/completions")).header("x-request-id", id).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["x-request-id"].to_str().unwrap()), (200, id));
        response.bytes().await.unwrap();
    }
    // The last lines are written after the last byte has gone out.
    let mut told = Vec::new();
    for _ in 0..100 {
        told = daemon.log().lines().skip(before).map(str::to_owned).collect();
        if told.iter().filter(|line| line.contains("run ended")).count() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut seen = Vec::new();
    for line in told {
        let line: Value = serde_json::from_str(&line).unwrap();
        if !line["target"].as_str().unwrap().starts_with("nuncio") {
            continue;
        }
        let message = line["fields"]["message"].as_str().unwrap_or_default().to_owned();
        if message.starts_with("a connection ended") {
            continue;
        }
        let span =
            line["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["name"] == "request")).cloned();
        let id = span.unwrap_or_else(|| panic!("no request in {line}"))["id"].as_str().unwrap().to_owned();
        assert!(["the-first", "the-second"].contains(&id.as_str()), "{line}");
        seen.push((id, message));
    }
    for id in ["the-first", "the-second"] {
        for message in ["answered", "run ended", "tool call"] {
            assert!(seen.contains(&(id.to_owned(), message.to_owned())), "{id} {message}: {seen:#?}");
        }
    }
}

/// Everything a client may say that must not be written down, each request with the status it gets.
fn secrets() -> Vec<(Value, u16)> {
    let with = |patch: Value| {
        let mut body = chat("Hello");
        body.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        body
    };
    let said = |content: String| chat(&content);
    let path = format!("{SECRET}.txt");
    vec![
        (said(format!("say: {SECRET}")), 200),
        (said(format!("think: {SECRET}\nrefuse: {SECRET}")), 200),
        (said(format!("{SECRET}: no script")), 200),
        (said(format!("run: echo {SECRET}")), 200),
        (said(format!("run: echo {SECRET} >&2; exit 3")), 200),
        (said(format!("run: kill -9 $$ # {SECRET}")), 200),
        (said(format!("write: {path}\n| {SECRET}\nthen\nread: {path}")), 200),
        (said(format!("read: /etc/{path}")), 200),
        (said(format!("call: read_file {{\"path\": {{\"{SECRET}\": \"{SECRET}\"}}}}")), 200),
        (said(format!("call: read_file {{\"path\": \"{SECRET}")), 200),
        (said(format!("call: read_file \"{SECRET}\"")), 200),
        (said(format!("call: {SECRET} {{}}")), 200),
        (said(format!("say: {SECRET}\ncut")), 502),
        (said("fail: 400".to_owned()), 400),
        (with(json!({"messages": [{"role": "system", "content": SECRET}, {"role": "user", "content": "Hello"}]})), 200),
        (with(json!({"tools": [{"type": "function", "function": {"name": "f", "description": SECRET}}]})), 200),
        (with(json!({"user": SECRET, "metadata": {SECRET: SECRET}, SECRET: SECRET})), 200),
        (with(json!({"model": SECRET})), 404),
        (with(json!({"messages": [{"role": SECRET, "content": SECRET}]})), 400),
        (with(json!({"messages": SECRET})), 400),
        (with(json!({"tool_choice": {"type": "function", "function": {"name": SECRET}}})), 400),
    ]
}

/// Asserts that the log of this daemon has a line for each request and the secret in none.
fn assert_kept(daemon: &Daemon, requests: usize) {
    let log = daemon.log();
    let answered = log.lines().filter(|line| line.contains("answered")).count();
    assert!(answered >= requests, "{answered} of {requests} requests in the log:\n{log}");
    let told: Vec<&str> = log.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[tokio::test]
async fn prompts_are_in_no_log_line() {
    let daemon = Daemon::rehearsing();
    let secrets = secrets();
    for (body, status) in &secrets {
        for stream in [false, true] {
            let mut body = body.clone();
            body["stream"] = stream.into();
            let response = client()
                .post(daemon.url(&format!("/v1/chat/completions?note={SECRET}")))
                .header("x-nuncio-session", SECRET)
                .header("x-openwebui-user-email", SECRET)
                .json(&body)
                .send()
                .await
                .unwrap();
            if !stream {
                assert_eq!(response.status().as_u16(), *status, "{body}");
            }
            response.bytes().await.unwrap();
        }
    }
    assert_kept(&daemon, secrets.len() * 2);
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_in_no_log_line() {
    let daemon = Daemon::rehearsing();
    let body = chat(&format!("call: read_file {{\"path\": \"a\", \"{SECRET}\": 1}}"));
    let response = client().post(daemon.url("/v1/chat/completions")).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_kept(&daemon, 1);
}

#[tokio::test]
async fn an_upstream_that_repeats_the_prompt_puts_it_in_no_log_line() {
    let upstream = MockServer::start().await;
    let error = json!({"error": {"message": format!("Invalid value: '{SECRET}'"), "type": "invalid_request_error", "param": "messages", "code": null}});
    for status in [400, 401, 404, 429, 500] {
        let answer = ResponseTemplate::new(status).set_body_json(&error);
        Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&upstream).await;
    }
    let broken = ResponseTemplate::new(200).set_body_raw(format!("data: {{\"{SECRET}\n\n"), "text/event-stream");
    Mock::given(any()).respond_with(broken).mount(&upstream).await;
    let daemon = Daemon::with(&format!(
        "upstreams: {{default: {{base_url: '{}/v1', model: m, max_retries: 0}}}}\n",
        upstream.uri()
    ));
    for status in [400, 502, 502, 429, 502, 502] {
        let response = client().post(daemon.url("/v1/chat/completions")).json(&chat(SECRET)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
    assert_kept(&daemon, 6);
}

#[tokio::test]
async fn keys_are_in_no_log_line() {
    let hash = KeyHash::of(SECRET).to_string();
    for filter in ["info", "trace"] {
        let yaml = format!("{REHEARSAL}log: {{filter: {filter}}}\nauth: {{keys: [{{name: bob, hash: '{hash}'}}]}}\n");
        let daemon = Daemon::with_environment(&yaml, &[("API_SERVER_KEY", &format!("{SECRET}-too"))]);
        let headers = [
            ("authorization", format!("Bearer {SECRET}"), 200),
            ("authorization", format!("Bearer {SECRET}-too"), 200),
            ("authorization", format!("Bearer wrong-{SECRET}"), 401),
            ("authorization", format!("Basic {SECRET}"), 401),
            ("x-api-key", SECRET.to_owned(), 401),
            ("cookie", SECRET.to_owned(), 401),
        ];
        for (name, value, status) in &headers {
            let request = client().post(daemon.url(&format!("/v1/chat/completions?key={SECRET}"))).header(*name, value);
            assert_eq!(
                request.json(&chat("Hello")).send().await.unwrap().status().as_u16(),
                *status,
                "{name}: {value}"
            );
        }
        assert_kept(&daemon, headers.len());
        assert!(!daemon.log().contains(&hash["sha256:".len()..]), "the hash is in the log");
    }
}
