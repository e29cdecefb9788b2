//! Answers that arrive, in all the forms in which servers give them.

use super::server::*;
use super::*;
use nuncio::core::ports::tool::ToolSpec;
use nuncio::core::usage::Usage;
use serde_json::json;

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;

fn usage() -> UpstreamEvent {
    UpstreamEvent::Usage(Usage { input: 5, output: 2, ..Usage::default() })
}

fn finish(reason: FinishReason) -> UpstreamEvent {
    UpstreamEvent::Finish(reason)
}

#[tokio::test]
async fn a_stream_is_read_whatever_its_pieces_and_its_connection_serves_the_next_call() {
    let answer_of = |split: usize| {
        let events = concat!(
            ": keep-alive\r\n\r\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\r\n\r\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße\"}}],\"usage\":{\"prompt_tokens\":5}}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
            "data: [DONE]\n\n",
        );
        let frame = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        let frames = events.as_bytes().chunks(split).map(frame).map(Act::Send);
        [accepted()].into_iter().chain(frames).chain([end()]).collect::<Vec<_>>()
    };
    let splits = [1, 3, 7, 50, 10_000];
    let server = Server::start(splits.iter().map(|&split| answer_of(split)).collect()).await;
    let settings = UpstreamSettings {
        api_key: Some("sk-secret".into()),
        headers: vec![("X-Team".into(), "red".into())],
        ..settings("main", &server.base_url)
    };
    let upstream = one(settings);
    for split in splits {
        let hm = UpstreamEvent::Reasoning("hm".into());
        let expected = [UpstreamEvent::Opened, hm, text("Grüße"), usage(), finish(FinishReason::Stop)];
        assert_eq!(answer(&upstream).await, expected, "in pieces of {split}");
    }
    assert_eq!((server.count(), server.connections()), (splits.len(), 1));

    let request = server.requests().remove(0);
    let body = json!({
        "model": "model-a",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(request.body, body);
    assert!(request.head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{}", request.head);
    for header in ["authorization: bearer sk-secret", "x-team: red", "accept: text/event-stream"] {
        assert!(request.head.lines().any(|line| line == header), "no {header} in {}", request.head);
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_sent_whole_and_with_its_length_each_time() {
    let script = || vec![accepted(), says("a"), data("[DONE]"), end()];
    let server = Server::start(vec![script(), script()]).await;
    let upstream = one(settings("main", &server.base_url));
    let tool = |name: &str| ToolSpec { name: name.to_owned(), ..ToolSpec::default() };
    let request = ModelRequest { tools: [tool("ls"), tool("cat")].into(), ..question() };
    for _ in 0..2 {
        let (_, failure) = drain(upstream.call(request.clone())).await;
        assert_eq!(failure, None);
    }
    let offered = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    for request in server.requests() {
        assert_eq!(request.body["tools"], json!([offered("ls"), offered("cat")]));
        let has = |header: &str| request.head.lines().any(|line| line.starts_with(header));
        assert!(has("content-length: ") && !has("transfer-encoding"), "{}", request.head);
    }
    assert_eq!((server.count(), server.connections()), (2, 1));
}

#[tokio::test]
async fn a_finish_reason_or_done_ends_an_answer_one_is_enough() {
    let call_delta = r#"{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"ls","arguments":"{}"}}]}}"#;
    let ls = call(0, Some("c1"), Some("ls"), "{}");
    use FinishReason::{Length, Stop, ToolCalls};
    let cases = [
        (vec![says("a"), finishes("length"), end()], vec![text("a"), finish(Length)]),
        (vec![says("a"), data("[DONE]"), end()], vec![text("a"), finish(Stop)]),
        (vec![choice(call_delta), data("[DONE]"), end()], vec![ls.clone(), finish(ToolCalls)]),
        (vec![choice(call_delta), finishes("stop"), end()], vec![ls, finish(ToolCalls)]),
        // The last blank line, even the last line break, may be missing.
        (vec![says("a"), chunk("data: [DONE]"), end()], vec![text("a"), finish(Stop)]),
        // Cut after the finish reason: nothing of the answer is lost.
        (vec![says("a"), finishes("stop"), Act::Close], vec![text("a"), finish(Stop)]),
        (vec![says("a"), finishes("stop"), data(USAGE), Act::Close], vec![text("a"), usage(), finish(Stop)]),
        (vec![data("[DONE]"), end()], vec![finish(Stop)]),
        // What says nothing does no harm.
        (vec![data("null"), says("\\ud83d"), data(""), data("[DONE]"), end()], vec![text("\u{fffd}"), finish(Stop)]),
    ];
    for (number, (acts, events)) in cases.into_iter().enumerate() {
        let server = Server::start(vec![[accepted()].into_iter().chain(acts).collect()]).await;
        let expected: Vec<_> = [UpstreamEvent::Opened].into_iter().chain(events).collect();
        assert_eq!(answer(&upstream(&server.base_url)).await, expected, "case {number}");
        assert_eq!(server.count(), 1, "case {number}");
    }
}

#[tokio::test]
async fn comments_keep_a_slow_answer_alive() {
    let mut acts = vec![accepted()];
    for _ in 0..8 {
        acts.extend([chunk(": working\n\n"), pause(50)]);
    }
    acts.extend([says("late"), finishes("stop"), data("[DONE]"), end()]);
    let server = Server::start(vec![acts]).await;
    let limit = Duration::from_millis(250);
    let settings =
        UpstreamSettings { first_byte_timeout: limit, idle_timeout: limit, ..settings("main", &server.base_url) };
    assert_eq!(answer(&one(settings)).await, said("late"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_complete_answer_is_not_held_up_by_a_server_that_does_not_hang_up() {
    for after in [vec![Act::Hold], pings()] {
        let script = [accepted(), says("a"), finishes("stop")].into_iter().chain(after).collect();
        let server = Server::start(vec![script]).await;
        let idle_timeout = Duration::from_millis(200);
        let settings = UpstreamSettings { idle_timeout, ..settings("main", &server.base_url) };
        assert_eq!(answer(&one(settings)).await, said("a"));
        server.hung_up(0).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let body = json!({
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "Looking.", "refusal": null,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "cat", "arguments": {"path": "a"}}},
            ],
        }}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    });
    let server = Server::start(vec![whole("200 OK", "content-type: application/json\r\n", &body.to_string())]).await;
    let expected = [
        UpstreamEvent::Opened,
        text("Looking."),
        call(0, Some("c1"), Some("ls"), "{}"),
        call(1, Some("c2"), Some("cat"), r#"{"path":"a"}"#),
        usage(),
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(answer(&upstream(&server.base_url)).await, expected);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn thirty_megabytes_are_read_no_faster_than_they_are_taken() {
    const EVENTS: usize = 30 * 1024;
    let kilobyte = "x".repeat(1024);
    let events = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{kilobyte}\"}}}}]}}\n\n").repeat(EVENTS);
    let server = Server::start(vec![vec![
        send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
        send(&events),
        send("data: [DONE]\n\n"),
        Act::Close,
    ]])
    .await;
    let mut stream = upstream(&server.base_url).call(question());
    assert_eq!(stream.next().await, Some(Ok(UpstreamEvent::Opened)));
    assert_eq!(stream.next().await, Some(Ok(text(&kilobyte))));

    // The server gets stuck when the sockets' buffers are full, which shows that nothing of ours swallows the rest.
    let mut written = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if server.written() == written {
            break;
        }
        written = server.written();
    }
    assert!(written < events.len() / 2, "{written} of {} bytes were taken unread", events.len());

    let (rest, failure) = drain(stream).await;
    assert_eq!((rest.len(), failure), (EVENTS, None), "all other texts and the finish");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_dropped_call_hangs_up() {
    let server = Server::start(vec![vec![accepted(), says("a"), Act::Hold], vec![Act::Hold]]).await;
    let mut stream = upstream(&server.base_url).call(question());
    assert_eq!(server.count(), 0, "nothing is sent before the stream is polled");
    for expected in [UpstreamEvent::Opened, text("a")] {
        assert_eq!(stream.next().await, Some(Ok(expected)));
    }
    drop(stream);
    server.hung_up(0).await;
}
