use super::*;
use crate::core::logprob::Likely;
use UpstreamEvent::{Reasoning, Refusal, Text, ToolCall};

/// The events of one payload, and what it adds to the answer.
fn read(payload: &str) -> (Vec<UpstreamEvent>, Option<FinishReason>, Option<Usage>) {
    let chunk = Chunk::parse(payload.as_bytes()).unwrap_or_else(|error| panic!("{error}: {payload}"));
    let (mut answer, mut events) = (Answer::default(), VecDeque::new());
    assert!(chunk.read(&mut answer, &mut events), "{payload}");
    (events.into(), answer.finish, answer.usage)
}

fn events_of(delta: &str) -> Vec<UpstreamEvent> {
    read(&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)).0
}

fn text(text: &str) -> UpstreamEvent {
    Text(text.into())
}

fn call(index: Option<u32>, id: Option<&str>, name: Option<&str>, arguments: &str) -> UpstreamEvent {
    let (id, name) = (id.map(Into::into), name.map(Into::into));
    ToolCall(ToolCallFragment { index, id, name, arguments: arguments.into(), ..Default::default() })
}

#[test]
fn a_delta_of_any_server_becomes_the_same_events() {
    let cases = [
        (r#"{"role":"assistant","content":"","refusal":null,"tool_calls":null}"#, vec![]),
        (r#"{"content":"a\nb"}"#, vec![text("a\nb")]),
        (r#"{"content":[{"type":"text","text":"a"},{"type":"image"},{"text":"b"}]}"#, vec![text("ab")]),
        (r#"{"content":7}"#, vec![]),
        (r#"{"reasoning_content":"r","reasoning":"r","content":"c"}"#, vec![Reasoning("r".into()), text("c")]),
        (r#"{"reasoning":"r","reasoning_content":null}"#, vec![Reasoning("r".into())]),
        (r#"{"reasoning":{"text":"r"}}"#, vec![Reasoning("r".into())]),
        (r#"{"refusal":"no"}"#, vec![Refusal("no".into())]),
        (
            r#"{"tool_calls":[{"index":1,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}"#,
            vec![call(Some(1), Some("c1"), Some("f"), "")],
        ),
        (
            r#"{"tool_calls":[{"index":"0","id":"","function":{"name":"","arguments":"{\"a"}},{"function":null}]}"#,
            vec![call(Some(0), None, None, "{\"a"), call(None, None, None, "")],
        ),
        (
            r#"{"tool_calls":[{"id":7,"function":{"name":"f","arguments":{"b":1,"a":[2]}}}]}"#,
            vec![call(None, Some("7"), Some("f"), r#"{"b":1,"a":[2]}"#)],
        ),
        (
            r#"{"tool_calls":[{"index":0,"type":"function","function":{"name":"f"},"extra_content":{"sig":"s"}}]}"#,
            vec![ToolCall(ToolCallFragment {
                index: Some(0),
                name: Some("f".into()),
                extra: Map::from_iter([("extra_content".to_owned(), serde_json::json!({"sig": "s"}))]),
                ..Default::default()
            })],
        ),
        (r#"{"function_call":{"name":"f","arguments":"{}"}}"#, vec![call(Some(0), None, Some("f"), "{}")]),
    ];
    for (delta, events) in cases {
        assert_eq!(events_of(delta), events, "{delta}");
    }
}

#[test]
fn a_whole_completion_numbers_its_calls() {
    let payload = r#"{"object":"chat.completion","choices":[{"index":0,"finish_reason":"tool_calls","message":{
        "role":"assistant","content":"hm","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},
        {"id":"b","function":{"name":"g","arguments":"{}"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":2.0}}"#;
    let usage = Usage { input: 3, output: 2, ..Usage::default() };
    let calls = [call(Some(0), Some("a"), Some("f"), "{}"), call(Some(1), Some("b"), Some("g"), "{}")];
    let events = [text("hm")].into_iter().chain(calls).collect();
    assert_eq!(read(payload), (events, Some(FinishReason::ToolCalls), Some(usage)));
}

#[test]
fn usage_is_read_in_the_words_of_every_server() {
    let cases = [
        (r#"{"prompt_tokens":null,"completion_tokens":"4"}"#, Usage { output: 4, ..Usage::default() }),
        (
            r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"cost":0.1,"prompt_tokens_details":
            {"cached_tokens":5,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}"#,
            Usage { input: 9, output: 4, cached: 5, cache_write: 2, reasoning: 3 },
        ),
        (
            r#"{"prompt_tokens":9,"prompt_tokens_details":null,"completion_tokens_details":null,
            "cache_read_input_tokens":5,"cache_creation_input_tokens":2}"#,
            Usage { input: 9, cached: 5, cache_write: 2, ..Usage::default() },
        ),
        (r#"{"prompt_tokens":-3,"prompt_cache_hit_tokens":1}"#, Usage { cached: 1, ..Usage::default() }),
    ];
    for (wire, usage) in cases {
        let payload = format!(r#"{{"choices":null,"usage":{wire}}}"#);
        assert_eq!(read(&payload), (vec![], None, Some(usage)), "{wire}");
    }
}

#[test]
fn finish_reasons_of_any_spelling_are_understood() {
    use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
    let cases = [
        ("null", None),
        ("\"\"", None),
        ("\"stop\"", Some(Stop)),
        ("\"eos\"", Some(Stop)),
        ("\"length\"", Some(Length)),
        ("\"function_call\"", Some(ToolCalls)),
        ("\"content_filter\"", Some(ContentFilter)),
    ];
    for (wire, reason) in cases {
        let payload = format!(r#"{{"choices":[{{"delta":null,"finish_reason":{wire}}}],"usage":null}}"#);
        assert_eq!(read(&payload), (vec![], reason, None), "{wire}");
    }
    let stopped = Answer { finish: Some(Stop), has_calls: true, ..Answer::default() };
    assert_eq!(stopped.finish_reason(), ToolCalls, "many servers say stop after tool calls");
}

#[test]
fn an_error_is_found_wherever_it_stands_and_only_if_it_says_something() {
    let error = |payload: &str| Chunk::parse(payload.as_bytes()).unwrap().take_error();
    let said = Some(serde_json::json!({"message": "no"}));
    assert_eq!(error(r#"{"error":{"message":"no"}}"#), said);
    assert_eq!(error(r#"{"choices":[{"error":{"message":"no"},"finish_reason":"error"}]}"#), said);
    assert_eq!(error(r#"{"error":"no"}"#), Some("no".into()));
    for nothing in [r#"{"error":null}"#, r#"{"error":""}"#, r#"{"error":{}}"#, r#"{"error":false}"#, "{}"] {
        assert_eq!(error(nothing), None, "{nothing}");
    }
    let cut = Chunk::parse(br#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#).unwrap();
    assert!(!cut.read(&mut Answer::default(), &mut VecDeque::new()));
}

#[test]
fn what_is_of_another_kind_than_it_should_be_is_not_there() {
    let cases = [
        r#"{"choices":[null,7,{"delta":{"content":"a"}}],"usage":"none"}"#,
        r#"{"choices":[{"delta":{"content":"a","tool_calls":[null,"f"]},"message":"a"}],"usage":[1]}"#,
        r#"{"choices":[{"delta":{"content":"a","tool_calls":{},"function_call":""}}],"usage":false,"error":null}"#,
    ];
    for payload in cases {
        assert_eq!(read(payload), (vec![text("a")], None, None), "{payload}");
    }
    for payload in [r#"{"choices":"a","usage":7}"#, r#"{"choices":[{"delta":"hi","message":[1]}]}"#] {
        assert_eq!(read(payload), (vec![], None, None), "{payload}");
    }
    let usage = r#"{"usage":{"prompt_tokens":1,"prompt_tokens_details":7,"completion_tokens_details":[]}}"#;
    assert_eq!(read(usage).2, Some(Usage { input: 1, ..Usage::default() }));
    assert_eq!(
        events_of(r#"{"tool_calls":[{"index":0,"id":"c","function":7}]}"#),
        [call(Some(0), Some("c"), None, "")]
    );
}

#[test]
fn a_payload_that_is_not_quite_json_is_mended() {
    let cases: [(&[u8], &str); 6] = [
        (b"{\"content\":\"a\xff\xc3\xa4\"}", "a\u{fffd}\u{e4}"),
        (br#"{"content":"\ud83d!"}"#, "\u{fffd}!"),
        (br#"{"content":"\ude00\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{fffd}\u{1f600}"),
        (br#"{"content":"\\\\ud83d \ud83d"}"#, "\\\\ud83d \u{fffd}"),
        (br#"{"content":"\ud83d\u0041"}"#, "\u{fffd}A"),
        (br#"{"content":"a","content":"b"}"#, "b"),
    ];
    for (delta, expected) in cases {
        let payload = [br#"{"choices":[{"delta":"#, delta, b"}]}"].concat();
        let (mut answer, mut events) = (Answer::default(), VecDeque::new());
        Chunk::parse(&payload).unwrap().read(&mut answer, &mut events);
        assert_eq!(events, [text(expected)], "{}", payload.escape_ascii());
    }
    let problem = |payload: &str| Chunk::parse(payload.as_bytes()).err();
    for payload in ["{", "{\"choices\":[oops", r#"{"a":"\ud8"}"#, r#"{"a":"\ud8zz"}"#, r#"{"a":"\ud83d"#, "{}{}"] {
        assert_eq!(problem(payload), Some(Unreadable::NotJson), "{payload}");
    }
    for payload in ["7", "[]", "[null,null,null]", "\"\""] {
        assert_eq!(problem(payload), Some(Unreadable::NoChunk), "{payload}");
    }
}

#[test]
fn sealed_reasoning_is_handed_on_in_the_pieces_in_which_it_comes() {
    let sealed = |piece: serde_json::Value| UpstreamEvent::Sealed {
        maker: "".into(),
        piece: piece.as_object().cloned().unwrap(),
    };
    let text = |text: &str| serde_json::json!({"type": "reasoning.text", "text": text, "index": 0});
    let details = |details: &[serde_json::Value]| serde_json::Value::from(details.to_vec()).to_string();
    let cases = [
        // OpenRouter says what can be read twice, and others once.
        (
            format!(r#"{{"reasoning":"r","reasoning_details":{}}}"#, details(&[text("r")])),
            vec![Reasoning("r".into()), sealed(text("r"))],
        ),
        (
            format!(r#"{{"reasoning_details":{},"content":"c"}}"#, details(&[text("r")])),
            vec![Reasoning("r".into()), sealed(text("r")), self::text("c")],
        ),
        (
            r#"{"reasoning":null,"reasoning_details":[7,{"type":"reasoning.encrypted","data":"AA"}]}"#.to_owned(),
            vec![sealed(serde_json::json!({"type": "reasoning.encrypted", "data": "AA"}))],
        ),
        (r#"{"reasoning_details":"none"}"#.to_owned(), vec![]),
    ];
    for (delta, events) in cases {
        assert_eq!(events_of(&delta), events, "{delta}");
    }
}

#[test]
fn probabilities_belong_to_text_alone_and_every_server_gives_them_a_little_differently() {
    let likely = |token: &str, logprob: f64, bytes: &[u8]| Likely { token: token.into(), logprob, bytes: bytes.into() };
    let events =
        |delta: &str, logprobs: &str| read(&format!(r#"{{"choices":[{{"delta":{delta},"logprobs":{logprobs}}}]}}"#)).0;
    let heard = |logprobs: Vec<Logprob>| UpstreamEvent::Logprobs(logprobs);
    let whole = r#"{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":null}]}],"refusal":null}"#;
    let a = Logprob { token: likely("a", -0.5, b"a"), top_logprobs: vec![likely("b", -1.0, b"b")] };
    assert_eq!(events(r#"{"content":"a"}"#, whole), [heard(vec![a.clone()]), text("a")]);
    assert_eq!(events(r#"{"content":""}"#, whole), [heard(vec![a])], "a character is spread over tokens");
    assert_eq!(events(r#"{"reasoning":"a"}"#, whole), [Reasoning("a".into())]);
    assert_eq!(events(r#"{"tool_calls":[{"index":0}]}"#, whole), [call(Some(0), None, None, "")]);
    let odd = r#"{"content":[{"token":"a","logprob":null,"bytes":[300]},{"logprob":-1},7]}"#;
    let very_unlikely = Logprob { token: likely("a", -9999.0, b"a"), top_logprobs: vec![] };
    assert_eq!(events(r#"{"content":"a"}"#, odd), [heard(vec![very_unlikely]), text("a")]);
    for nothing in ["null", "7", "[]", "{}", r#"{"content":null}"#, r#"{"content":[]}"#] {
        assert_eq!(events(r#"{"content":"a"}"#, nothing), [text("a")], "{nothing}");
    }
}
