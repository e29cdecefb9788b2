//! Answers that do not arrive, or not whole: what is told of them, and how many requests they cost.

use super::server::*;
use super::*;
use nuncio::core::failure::FailureKind::{self, *};

/// One first attempt and two repeats.
const ALL: usize = 3;

fn opened() -> Vec<UpstreamEvent> {
    vec![UpstreamEvent::Opened]
}

fn opened_and(events: impl IntoIterator<Item = UpstreamEvent>) -> Vec<UpstreamEvent> {
    opened().into_iter().chain(events).collect()
}

#[tokio::test]
async fn a_broken_answer_is_tried_again_only_until_something_was_said() {
    let arguments = |id: &str, text: &str| {
        choice(&format!(r#"{{"delta":{{"tool_calls":[{{"index":0,{id}"function":{{"arguments":"{text}"}}}}]}}}}"#))
    };
    let first = arguments(r#""id":"c1","#, "{\\\"path\\\":");
    let fragment = call(0, Some("c1"), None, "{\"path\":");
    let error = r#"{"error":{"message":"Provider disconnected","code":502},"choices":[]}"#;
    let broken = |what: &str| Failure::new(UpstreamBroken, format!("upstream `main` {what}"));
    let cut = || broken("broke off in mid-answer: unexpected EOF during chunk size line");
    let cases = [
        ("cut before anything", vec![Act::Close], opened(), cut(), ALL),
        ("cut after text", vec![says("a"), Act::Close], opened_and([text("a")]), cut(), 1),
        (
            "cut within an event",
            vec![says("a"), send("20\r\ndata: {\"choi"), Act::Close],
            opened_and([text("a")]),
            broken("broke off in mid-answer"),
            1,
        ),
        ("cut between arguments", vec![first.clone(), Act::Close], opened_and([fragment.clone()]), cut(), 1),
        (
            "ended between arguments",
            vec![first, end()],
            opened_and([fragment]),
            broken("ended its answer without a finish reason"),
            1,
        ),
        ("ended before anything", vec![end()], opened(), broken("ended its answer without a finish reason"), ALL),
        ("not JSON", vec![data("{\"choices\":[oops")], opened(), broken("sent a chunk that is not JSON"), ALL),
        ("no chunk", vec![data("7")], opened(), broken("sent a chunk of an unknown shape"), ALL),
        (
            "a web page",
            vec![chunk("<!doctype html>")],
            opened(),
            broken("answered with a web page: is base_url right?"),
            ALL,
        ),
        (
            "an error after text",
            vec![says("a"), data(error)],
            opened_and([text("a")]),
            Failure::new(UpstreamUnavailable, "upstream `main` is unavailable (502)").saying("Provider disconnected"),
            1,
        ),
    ];
    for (name, acts, events, expected, requests) in cases {
        let script: Vec<Act> = [accepted()].into_iter().chain(acts).chain([Act::Close]).collect();
        let server = Server::start(vec![script; ALL]).await;
        let (told, failure) = failure(&upstream(&server.base_url)).await;
        assert_eq!((told, failure.kind), (events, expected.kind), "{name}");
        // The cause of a cut follows in the words of a library, which may change them.
        assert!(failure.message.starts_with(&expected.message), "{name}: {failure}");
        assert_eq!(server.count(), requests, "{name}");
    }
}

#[tokio::test]
async fn an_attempt_that_fails_before_content_is_not_noticed() {
    for first in [
        vec![Act::Close],
        vec![accepted(), Act::Close],
        vec![accepted(), chunk(": waking up\n\n"), end()],
        whole("503 Service Unavailable", "", "starting"),
        whole("200 OK", "", r#"{"error":{"message":"overloaded","type":"overloaded_error"}}"#),
    ] {
        let server = Server::start(vec![first, stream("hi")]).await;
        assert_eq!(answer(&upstream(&server.base_url)).await, said("hi"));
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn a_refusal_is_told_once_and_only_a_passing_one_is_tried_again() {
    let cases: [(&str, &str, FailureKind, usize); 7] = [
        ("400 Bad Request", r#"{"error":{"message":"bad seed","param":"seed"}}"#, InvalidRequest, 1),
        ("400 Bad Request", r#"{"error":{"message":"long","code":"context_length_exceeded"}}"#, ContextLength, 1),
        ("401 Unauthorized", "", UpstreamAuth, 1),
        ("404 Not Found", "", UpstreamNotFound, 1),
        ("308 Permanent Redirect", "", UpstreamNotFound, 1),
        ("429 Too Many Requests", "", RateLimited, ALL),
        ("500 Internal Server Error", "", UpstreamUnavailable, ALL),
    ];
    for (status, body, kind, requests) in cases {
        let server = Server::start(vec![whole(status, "location: /v2\r\n", body); ALL]).await;
        let (events, failure) = failure(&upstream(&server.base_url)).await;
        assert_eq!((events, failure.kind), (vec![], kind), "{status}");
        assert_eq!(failure.param.as_deref(), body.contains("param").then_some("seed"));
        assert_eq!(server.count(), requests, "{status}");
    }
}

#[tokio::test]
async fn a_secret_that_the_server_repeats_is_not_passed_on() {
    let filler = "x".repeat(491);
    let cases = [
        ("the key sk-secret may not use this model", "the key [secret] may not use this model".to_owned()),
        ("no Token abcdefgh-2 of abcdefgh here", "no Token [secret] of [secret] here".to_owned()),
        ("team red is no secret, nor is Token", "team red is no secret, nor is Token".to_owned()),
        // Cut first, it would be half a secret that nobody recognises.
        (&*format!("{filler} abcdefgh-2 {filler}"), format!("{filler} [secret]…")),
    ];
    for (said, told) in cases {
        let body = format!(r#"{{"error":{{"message":"{said}","param":"{said}"}}}}"#);
        let in_stream = data(&format!(r#"{{"error":{{"code":400,"message":"{said}","param":"{said}"}}}}"#));
        let server = Server::start(vec![whole("400 Bad Request", "", &body), vec![accepted(), in_stream]]).await;
        let headers = [("X-Team", "red"), ("X-Key", "abcdefgh"), ("X-Other-Key", "Token abcdefgh-2")];
        let settings = UpstreamSettings {
            api_key: Some("sk-secret".into()),
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            ..settings("main", &server.base_url)
        };
        let upstream = one(settings);
        let message = "upstream `main` refused the request (400)";
        let expected = Failure::new(InvalidRequest, message).saying(&*told).with_param(&*told);
        assert_eq!(failure(&upstream).await, (vec![], expected.clone()), "{said}");
        assert_eq!(failure(&upstream).await, (opened(), expected), "{said}");
    }
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let limit = Duration::from_millis(150);
    let silent = || Failure::new(UpstreamTimeout, "upstream `main` sent nothing for 0.15 s");
    let cases = [
        ("no headers", vec![Act::Hold], vec![], ALL),
        ("headers alone", vec![accepted(), Act::Hold], opened(), ALL),
        ("slow headers", vec![pause(5_000), accepted()], vec![], ALL),
        ("a stall after text", vec![says("a"), Act::Hold], opened_and([text("a")]), 1),
    ];
    for (name, mut script, events, requests) in cases {
        if name.contains("stall") {
            script.insert(0, accepted());
        }
        let server = Server::start(vec![script; ALL]).await;
        let settings =
            UpstreamSettings { first_byte_timeout: limit, idle_timeout: limit, ..settings("main", &server.base_url) };
        assert_eq!(failure(&one(settings)).await, (events, silent()), "{name}");
        assert_eq!(server.count(), requests, "{name}");
    }
}

#[tokio::test]
async fn comments_do_not_stand_for_an_answer_for_ever() {
    let limit = Duration::from_millis(200);
    for (name, acts, events) in
        [("before the answer", vec![], opened()), ("within the answer", vec![says("a")], opened_and([text("a")]))]
    {
        let script = [accepted()].into_iter().chain(acts).chain(pings()).collect();
        let server = Server::start(vec![script]).await;
        let settings = UpstreamSettings {
            first_byte_timeout: limit,
            idle_timeout: limit,
            max_retries: 0,
            ..settings("main", &server.base_url)
        };
        let expected = Failure::new(UpstreamTimeout, "upstream `main` sent nothing of its answer for 2 s");
        assert_eq!(failure(&one(settings)).await, (events, expected), "{name}");
        server.hung_up(0).await;
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let megabyte = "x".repeat(1 << 20);
    let arguments = format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{megabyte}"}}}}]}}"#);
    let words = format!(r#"{{"content":"{megabyte}"}}"#);
    let calls = format!(r#"{{"tool_calls":[{}]}}"#, ["{}"; 8000].join(","));
    for (name, endless, limit) in [
        ("words", &*words, 32..33),
        ("arguments", &*arguments, 32..33),
        ("calls that say nothing", &*calls, 100_000..2_000_000),
    ] {
        let Act::Send(event) = delta(endless) else { unreachable!() };
        let server = Server::start(vec![vec![accepted(), Act::Flood(event, 1000)]]).await;
        let (events, failure) = failure(&upstream(&server.base_url)).await;
        let expected = Failure::new(UpstreamBroken, "upstream `main` sent an answer of more than 32 MiB");
        assert_eq!(failure, expected, "{name}");
        assert!(limit.contains(&events.len()), "{name}: {} events", events.len());
        assert_eq!(server.count(), 1, "{name}");
    }
}

#[tokio::test]
async fn no_server_is_a_failure_that_names_no_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (events, failure) = failure(&upstream(&format!("http://{address}/v1"))).await;
    let expected = "upstream `main` cannot be reached: Connection refused (os error 111)";
    assert_eq!((events, failure), (vec![], Failure::new(UpstreamUnavailable, expected)));
}
