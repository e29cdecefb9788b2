//! Retries, fallbacks, and what is remembered of them.

use super::server::*;
use super::*;
use nuncio::core::failure::FailureKind::*;
use nuncio::core::failure::Overflow;
use nuncio::core::format::FormatSupport;
use nuncio::upstream::registry::ChainError;
use std::time::Instant;

#[tokio::test]
async fn retry_after_is_obeyed() {
    let limited = whole("429 Too Many Requests", "retry-after: 1\r\n", "");
    let server = Server::start(vec![limited, stream("hi")]).await;
    let start = Instant::now();
    assert_eq!(answer(&upstream(&server.base_url)).await, said("hi"));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_long_retry_after_is_for_the_client_or_the_next_model_to_deal_with() {
    let limited = whole("429 Too Many Requests", "retry-after: 31\r\n", "");
    let server = Server::start(vec![limited.clone()]).await;
    let expected = Failure::new(RateLimited, "upstream `main` is over its rate limit (429)").with_retry_after(31);
    assert_eq!(failure(&upstream(&server.base_url)).await, (vec![], expected));
    assert_eq!(server.count(), 1);

    let server = Server::start(vec![limited, stream("hi")]).await;
    let registry = Registry::new(&[settings("main", &server.base_url)]).unwrap();
    let chain = registry.chain(&[("main", "model-a"), ("main", "model-b")]).unwrap();
    assert_eq!(answer(&chain).await, said("hi"));
    let models: Vec<_> = server.requests().iter().map(|request| request.body["model"].clone()).collect();
    assert_eq!(models, ["model-a", "model-b"]);
}

#[tokio::test]
async fn each_model_has_its_retries_before_the_next_has_its_turn() {
    let cases = [
        (vec![whole("503 Service Unavailable", "", ""); 3], 3, "upstream `first` is unavailable (503)"),
        (vec![whole("404 Not Found", "", "")], 1, "upstream `first` does not know the model or the path (404)"),
        (vec![whole("401 Unauthorized", "", "")], 1, "upstream `first` refused its API key (401)"),
        (vec![vec![accepted(), Act::Close]; 3], 3, "broke off in mid-answer"),
    ];
    for (scripts, requests, message) in cases {
        let (first, second) = (Server::start(scripts).await, Server::start(vec![stream("hi")]).await);
        let registry =
            Registry::new(&[settings("first", &first.base_url), settings("second", &second.base_url)]).unwrap();
        let chain = registry.chain(&[("first", "a"), ("second", "b")]).unwrap();
        assert_eq!(answer(&chain).await, said("hi"));
        assert_eq!((first.count(), second.count()), (requests, 1), "{message}");

        let reports: Vec<_> = registry.report().collect();
        let names: Vec<_> = reports.iter().map(|report| (report.name, report.base_url)).collect();
        assert_eq!(
            names,
            [("first", Some(&*first.base_url)), ("second", Some(&*second.base_url)), ("rehearsal", None)]
        );
        let error = reports[0].health.last_error().unwrap();
        assert!(error.message.contains(message) && error.at > 1_700_000_000, "{error:?}");
        assert_eq!((reports[0].health.last_success(), reports[1].health.last_error()), (None, None));
        assert!(reports[1].health.last_success() >= Some(error.at));
    }
}

#[tokio::test]
async fn when_all_fail_the_last_failure_is_told() {
    let first = Server::start(vec![whole("401 Unauthorized", "", "")]).await;
    let second = Server::start(vec![whole("500 Internal Server Error", "", ""); 3]).await;
    let registry = Registry::new(&[settings("first", &first.base_url), settings("second", &second.base_url)]).unwrap();
    let chain = registry.chain(&[("first", "a"), ("second", "b")]).unwrap();
    let expected = Failure::new(UpstreamUnavailable, "upstream `second` is unavailable (500)");
    assert_eq!(failure(&chain).await, (vec![], expected));
    assert_eq!((first.count(), second.count()), (1, 3));
}

#[tokio::test]
async fn a_request_at_fault_is_not_carried_to_the_next_model() {
    let first = Server::start(vec![whole("400 Bad Request", "", r#"{"error":"my secret prompt"}"#)]).await;
    let second = Server::start(vec![]).await;
    let registry = Registry::new(&[settings("first", &first.base_url), settings("second", &second.base_url)]).unwrap();
    let chain = registry.chain(&[("first", "a"), ("second", "b")]).unwrap();
    assert_eq!(failure(&chain).await.1.kind, InvalidRequest);
    assert_eq!((first.count(), second.count()), (1, 0));
    assert_eq!(registry.report().next().unwrap().health.last_error(), None, "it is no fault of the upstream's");
}

#[tokio::test]
async fn a_conversation_too_long_for_one_model_is_carried_to_the_next_at_once() {
    let long = || whole("400 Bad Request", "", r#"{"error":{"message":"long","code":"context_length_exceeded"}}"#);
    let server = Server::start(vec![long(), stream("hi"), long(), long()]).await;
    let registry = Registry::new(&[settings("main", &server.base_url)]).unwrap();
    let chain = registry.chain(&[("main", "small"), ("main", "large")]).unwrap();
    assert_eq!(answer(&chain).await, said("hi"));
    assert_eq!(failure(&chain).await.1.kind, ContextLength, "there may be no larger one");
    let models: Vec<_> = server.requests().iter().map(|request| request.body["model"].clone()).collect();
    assert_eq!(models, ["small", "large", "small", "large"]);
}

#[tokio::test]
async fn a_chain_learns_its_window_from_refusals_and_unlearns_it_from_answers() {
    let long = |window: u64| {
        let said = format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in 99999 tokens."
        );
        whole("400 Bad Request", "", &format!(r#"{{"error":{{"message":"{said}","code":"context_length_exceeded"}}}}"#))
    };
    let larger = turn([says("hi"), usage(20_000, 1)], "stop");
    let scripts = vec![long(16_384), stream("hi"), long(16_384), long(8192), larger];
    let server = Server::start(scripts).await;
    let registry = Registry::new(&[settings("main", &server.base_url)]).unwrap();
    let chain = registry.chain(&[("main", "large"), ("main", "small")]).unwrap();
    let mut windows = vec![chain.window()];
    answer(&chain).await;
    windows.push(chain.window());
    let told = failure(&chain).await.1;
    windows.push(chain.window());
    answer(&chain).await;
    windows.push(chain.window());
    // As long as one is not known it may be the largest, and the longest conversation counts.
    assert_eq!(windows, [None, None, Some(16_384), None]);
    assert_eq!(told.overflow, Some(Box::new(Overflow { window: Some(16_384), tokens: Some(99_999) })));
}

#[test]
fn what_cannot_be_built_says_what_to_change() {
    let registry = Registry::new(&[settings("main", "http://127.0.0.1:1/v1")]).unwrap();
    let unknown = registry.chain(&[("mian", "a")]).err().unwrap();
    assert_eq!(unknown.to_string(), "there is no upstream `mian`; the configuration has: main, rehearsal");
    assert_eq!(registry.chain(&[]).err(), Some(ChainError::Empty));

    let problem = |settings: UpstreamSettings| Registry::new(&[settings]).err().unwrap().to_string();
    let cases = [
        ("127.0.0.1:1", "upstreams.main.base_url: relative URL without a base; expected a URL like https://host/v1"),
        ("ftp://host/v1", "upstreams.main.base_url: expected http:// or https://, found ftp:"),
        (
            "https://user:pass@host/v1",
            "upstreams.main.base_url: holds credentials, which would show in logs; set api_key or headers instead",
        ),
        (
            "https://host/v1?key=sk-secret",
            "upstreams.main.base_url: holds a query string, which would show in logs; set api_key or headers instead",
        ),
    ];
    for (base_url, expected) in cases {
        assert_eq!(problem(settings("main", base_url)), expected);
    }
    let good = || settings("main", "http://127.0.0.1:1/v1");
    let key = UpstreamSettings { api_key: Some("sk-\nsecret".into()), ..good() };
    assert_eq!(problem(key), "upstreams.main.api_key: holds characters that no header can");
    let header = UpstreamSettings { headers: vec![("X Y".into(), "z".into())], ..good() };
    assert_eq!(problem(header), "upstreams.main.headers: \"X Y\" is no header name");
}

#[test]
fn a_chain_does_for_a_format_what_its_weakest_model_does() {
    let of = |name: &str, url: &str, format_support| UpstreamSettings { format_support, ..settings(name, url) };
    let registry = Registry::new(&[
        of("openai", "https://api.openai.com/v1", None),
        of("other", "https://example.org/v1", None),
        of("sure", "https://example.org/v1", Some(FormatSupport::Enforced)),
        of("deaf", "https://api.openai.com/v1", Some(FormatSupport::Prompted)),
    ])
    .unwrap();
    let support = |names: &[&str]| {
        let models: Vec<_> = names.iter().map(|name| (*name, "m")).collect();
        registry.chain(&models).unwrap().format_support()
    };
    let alone = ["openai", "other", "sure", "deaf", "rehearsal"].map(|name| support(&[name]));
    use FormatSupport::*;
    assert_eq!(alone, [Strict, Passed, Enforced, Prompted, Passed]);
    assert_eq!([support(&["sure", "openai"]), support(&["openai", "other", "sure"])], [Strict, Passed]);
}
