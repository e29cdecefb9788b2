//! Up to the first content: when the headers leave, what a failure is told as, and how many requests it costs.

use crate::client::{Client, answer, stream, text};
use crate::support::Daemon;
use crate::upstream::{Act, Server, accepted, data, end, says, stream as says_all, turn, whole};
use crate::{Settings, ask, daemon, with};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The error that a frame tells of.
fn error(frame: &str) -> Value {
    let mut error: Value = serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
    error["error"].take()
}

#[tokio::test]
async fn headers_and_role_leave_when_the_upstream_accepts() {
    let script = vec![vec![Act::Wait, accepted(), Act::Wait, says("Hi"), data("[DONE]"), end()]];
    let upstream = Server::start(script).await;
    let daemon = daemon(&upstream, &Settings { server: "header_wait: 1h", ..Settings::default() });
    let mut client = Client::post(&daemon, &ask("Go")).await;
    upstream.asked(1).await;
    let early = tokio::time::timeout(Duration::from_millis(300), client.socket.readable()).await;
    assert!(early.is_err(), "headers before the upstream's");
    upstream.go();
    let head = client.head().await;
    let header = |name| head.get(name).map(str::to_owned);
    let expected = ["text/event-stream; charset=utf-8", "no-cache", "no"].map(|value| Some(value.to_owned()));
    assert_eq!(["content-type", "cache-control", "x-accel-buffering"].map(header), expected);
    assert!(client.frame().await.unwrap().contains(r#""delta":{"role":"assistant","content":""}"#));
    upstream.go();
    assert_eq!(text(&client.rest().await), "Hi");
}

#[tokio::test]
async fn headers_leave_after_a_second_if_the_upstream_is_silent() {
    let refusal = whole("401 Unauthorized", "", "");
    let script = [vec![Act::Wait], refusal].concat();
    let upstream = Server::start(vec![script]).await;
    let daemon = daemon(&upstream, &Settings::default());
    let begun = Instant::now();
    let mut client = Client::post(&daemon, &ask("Go")).await;
    assert_eq!(client.head().await.status, 200);
    assert!(client.frame().await.unwrap().contains("assistant"));
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(900) && waited < Duration::from_secs(5), "{waited:?}");
    upstream.go();
    let rest = client.rest().await;
    assert_eq!((rest.len(), error(&rest[0])["code"].as_str()), (1, Some("upstream_auth_failed")), "{rest:?}");
}

/// Status, `Retry-After`, type, code and parameter of a failure, and the requests it cost.
type Told = (u16, Option<&'static str>, &'static str, Option<&'static str>, Option<&'static str>, usize);

/// One first attempt and two repeats.
const ALL: usize = 3;

fn failures() -> Vec<(Vec<Act>, Told)> {
    let long = r#"{"error":{"message":"long","code":"context_length_exceeded"}}"#;
    let bad = r#"{"error":{"message":"bad","param":"temperature"}}"#;
    let (invalid, limited, other) = ("invalid_request_error", "rate_limit_error", "upstream_error");
    let fault = |status, code, requests| (status, None, other, Some(code), None, requests);
    let too_long = (400, None, invalid, Some("context_length_exceeded"), None, 1);
    let slow_down = |after, requests| (429, after, limited, Some("rate_limit_exceeded"), None, requests);
    vec![
        (whole("401 Unauthorized", "", ""), fault(502, "upstream_auth_failed", 1)),
        (whole("403 Forbidden", "", ""), fault(502, "upstream_auth_failed", 1)),
        (whole("404 Not Found", "", ""), fault(502, "upstream_not_found", 1)),
        (whole("429 Too Many Requests", "retry-after: 77\r\n", ""), slow_down(Some("77"), 1)),
        (whole("429 Too Many Requests", "", ""), slow_down(None, ALL)),
        (whole("400 Bad Request", "", bad), (400, None, invalid, None, Some("temperature"), 1)),
        (whole("400 Bad Request", "", long), too_long),
        (whole("500 Internal Server Error", "", ""), fault(502, "upstream_unavailable", ALL)),
        (whole("503 Service Unavailable", "", ""), fault(502, "upstream_unavailable", ALL)),
        (whole("504 Gateway Timeout", "", ""), fault(504, "upstream_timeout", ALL)),
        (vec![Act::Close], fault(502, "upstream_unavailable", ALL)),
        (vec![Act::Hold], fault(504, "upstream_timeout", ALL)),
    ]
}

#[tokio::test]
async fn a_failure_before_the_headers_is_a_status() {
    for (script, (status, retry_after, kind, code, param, requests)) in failures() {
        for streamed in [true, false] {
            let upstream = Server::start(vec![script.clone(); ALL]).await;
            let settings = Settings { server: "header_wait: 1h", upstream: "first_byte_timeout: 300ms", profile: "" };
            let body = with(ask("Go"), json!({"stream": streamed}));
            let (head, body) = answer(&daemon(&upstream, &settings), &body).await;
            let error = &body["error"];
            assert_eq!((head.status, head.get("retry-after")), (status, retry_after), "{body}");
            // The operator's faults do not mend themselves.
            let in_vain = matches!(code, Some("upstream_auth_failed" | "upstream_not_found"));
            assert_eq!(head.get("x-should-retry"), in_vain.then_some("false"), "{body}");
            let words = ["type", "code", "param"].map(|key| error[key].as_str());
            assert_eq!(words, [Some(kind), code, param], "{body}");
            assert_eq!(upstream.count(), requests, "{body}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let daemon = Daemon::with(&format!(
        "upstreams: {{default: {{base_url: 'http://{nobody}/v1', model: m, max_retries: 0}}}}\nprofiles: {{nuncio: {{}}}}"
    ));
    let (head, body) = answer(&daemon, &ask("Go")).await;
    assert_eq!((head.status, body["error"]["code"].as_str()), (502, Some("upstream_unavailable")));
}

#[tokio::test]
async fn failed_attempts_before_the_first_content_do_not_show() {
    let unavailable = whole("503 Service Unavailable", "", "");
    let cut_before_content =
        vec![accepted(), data(r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#), Act::Close];
    let scripts = vec![unavailable, vec![Act::Close], cut_before_content.clone(), cut_before_content, says_all("Hi")];
    let upstream = Server::start(scripts).await;
    let daemon = daemon(&upstream, &Settings { upstream: "max_retries: 4", ..Settings::default() });
    let frames = stream(&daemon, &ask("Go")).await;
    // The role, the text, the reason, [DONE].
    assert_eq!((text(&frames).as_str(), frames.len(), upstream.count()), ("Hi", 4, 5), "{frames:?}");
}

/// A daemon whose profile falls back from one upstream to the other.
async fn with_fallback(first: Vec<Vec<Act>>, second: Vec<Vec<Act>>) -> (Daemon, Server, Server) {
    let (first, second) = (Server::start(first).await, Server::start(second).await);
    let upstream =
        |server: &Server| format!("{{base_url: '{}', max_retries: 1, retry_base_delay: 1ms}}", server.base_url);
    let daemon = Daemon::with(&format!(
        "upstreams: {{a: {}, b: {}}}\n\
         profiles: {{nuncio: {{upstream: a, model: one, fallbacks: [{{upstream: b, model: two}}]}}}}\n",
        upstream(&first),
        upstream(&second)
    ));
    (daemon, first, second)
}

#[tokio::test]
async fn the_fallback_answers_when_the_first_model_fails_for_good() {
    let unavailable = whole("503 Service Unavailable", "", "");
    let (daemon, first, second) = with_fallback(vec![unavailable; 2], vec![says_all("Hi")]).await;
    assert_eq!(text(&stream(&daemon, &ask("Go")).await), "Hi");
    assert_eq!((first.count(), second.count()), (2, 1));
    let model = |server: &Server| server.requests()[0].body["model"].clone();
    assert_eq!((model(&first), model(&second)), (json!("one"), json!("two")));
}

#[tokio::test]
async fn after_the_first_content_nothing_is_tried_again() {
    let calls = r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"terminal","arguments":"{"}}]}"#;
    let first_pieces = [r#"{"content":"Once"}"#, r#"{"reasoning_content":"Hm"}"#, r#"{"refusal":"No"}"#, calls];
    for piece in first_pieces {
        let script = vec![accepted(), crate::upstream::delta(piece), Act::Close];
        let (daemon, first, second) = with_fallback(vec![script; 2], vec![says_all("Hi")]).await;
        let frames = stream(&daemon, &ask("Go")).await;
        let last = error(frames.last().unwrap());
        assert_eq!(last["code"], "upstream_broken", "{frames:?}");
        assert_eq!((first.count(), second.count()), (1, 0), "{piece}");
    }
}

#[tokio::test]
async fn silence_in_mid_answer_is_a_failure() {
    let upstream = Server::start(vec![vec![accepted(), says("Once"), Act::Hold]]).await;
    let daemon = daemon(&upstream, &Settings { upstream: "idle_timeout: 300ms", ..Settings::default() });
    let frames = stream(&daemon, &ask("Go")).await;
    assert_eq!(error(&frames[2])["code"], "upstream_timeout", "{frames:?}");
    assert_eq!((frames.len(), upstream.count()), (3, 1));
    upstream.hung_up(0).await;
}

/// What one step has said stays said, and the next step's call may be made again all the same.
#[tokio::test]
async fn a_later_step_is_tried_again_until_its_own_first_content() {
    let call = crate::upstream::calls(0, "c", "list_files", &json!({}));
    let first = turn([says("I look. "), call], "tool_calls");
    let upstream = Server::start(vec![first, vec![Act::Close], says_all("Nothing there.")]).await;
    let daemon = daemon(&upstream, &Settings::default());
    let frames = stream(&daemon, &ask("Go")).await;
    assert_eq!((text(&frames).as_str(), upstream.count()), ("I look. Nothing there.", 3));
}
