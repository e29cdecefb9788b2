use super::*;
use crate::core::failure::{Failure, FailureKind};
use crate::core::item::{Item, Message, Origin, Part, Role, Status, ToolCall, ToolOutput};
use crate::core::logprob::{Likely, Logprob};
use crate::core::ports::tool::{ToolList, ToolSpec};
use crate::core::ports::upstream::{FinishReason, UpstreamEvent};
use crate::core::run::SUMMARY_INSTRUCTIONS;
use crate::core::run::demand::REPAIR;
use crate::core::usage::Usage;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn tool(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), ..ToolSpec::default() }
}

fn user(text: &str) -> Item {
    Item::Message(Message::of(Role::User, text))
}

fn called(call_id: &str, name: &str) -> Item {
    let (id, call_id, name, arguments) = (String::new(), call_id.into(), name.into(), "{}".into());
    Item::ToolCall(ToolCall {
        id,
        call_id,
        name,
        arguments,
        origin: Origin::Server,
        home: None,
        status: Status::Completed,
        extra: Map::new(),
    })
}

fn returned(call_id: &str, text: &str, failed: bool) -> Item {
    let (id, call_id, content) = (String::new(), call_id.into(), vec![Part::text(text)]);
    Item::ToolOutput(ToolOutput { id, call_id, content, failed, extra: Map::new() })
}

fn request(items: Vec<Item>) -> ModelRequest {
    ModelRequest {
        instructions: Some("Be brief.".into()),
        items: items.into_iter().map(Arc::new).collect(),
        tools: [tool("terminal"), tool("get_weather")].into(),
        tool_choice: ToolChoice::Auto,
        format: None,
        params: Arc::default(),
        max_output_tokens: None,
    }
}

/// What a call comes to, with neighbouring pieces of the same kind joined.
#[derive(Debug, Default, PartialEq)]
struct Played {
    text: String,
    reasoning: String,
    refusal: String,
    /// Name and arguments of each call.
    calls: Vec<(String, String)>,
    likely: Vec<Logprob>,
    finish: Option<FinishReason>,
    failure: Option<Failure>,
}

async fn events(request: ModelRequest) -> Vec<Result<UpstreamEvent, Failure>> {
    let all = Rehearsal.call(request).collect();
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("the rehearsal hangs")
}

async fn play(request: ModelRequest) -> Played {
    let mut played = Played::default();
    for event in events(request).await {
        match event {
            Ok(UpstreamEvent::Text(text)) => played.text.push_str(&text),
            Ok(UpstreamEvent::Reasoning(text)) => played.reasoning.push_str(&text),
            Ok(UpstreamEvent::Refusal(text)) => played.refusal.push_str(&text),
            Ok(UpstreamEvent::ToolCall(fragment)) => match (fragment.name, played.calls.last_mut()) {
                (None, Some((_, arguments))) => arguments.push_str(&fragment.arguments),
                (name, _) => played.calls.push((name.unwrap_or_default(), fragment.arguments)),
            },
            Ok(UpstreamEvent::Finish(reason)) => played.finish = Some(reason),
            Ok(UpstreamEvent::Opened | UpstreamEvent::Usage(_)) => {}
            Ok(UpstreamEvent::Logprobs(logprobs)) => played.likely.extend(logprobs),
            Ok(UpstreamEvent::Sealed { .. }) => panic!("the rehearsal seals nothing"),
            Err(failure) => played.failure = Some(failure),
        }
    }
    played
}

async fn play_script(script: &str) -> Played {
    play(request(vec![user(script)])).await
}

fn says(text: &str) -> Played {
    Played { text: text.into(), finish: Some(FinishReason::Stop), ..Played::default() }
}

fn calls(calls: &[(&str, &str)]) -> Played {
    let calls = calls.iter().map(|(name, arguments)| (name.to_string(), arguments.to_string())).collect();
    Played { calls, finish: Some(FinishReason::ToolCalls), ..Played::default() }
}

#[tokio::test]
async fn a_script_is_played_step_by_step() {
    let script = "think: Hm.\nSay: First,\n| look.\nrun: ls -la\n\ncall: get_weather {\"city\": \"Oslo\"}\nthen\n\
        write: a b.txt\n| one\n|  two\n|\nread: a b.txt";
    let mut items = vec![user("run: something older"), called("c0", "terminal"), returned("c0", "old", false)];
    items.push(user(script));
    let first = Played {
        text: "First,\nlook.".into(),
        reasoning: "Hm.".into(),
        ..calls(&[("terminal", r#"{"command":"ls -la"}"#), ("get_weather", r#"{"city": "Oslo"}"#)])
    };
    assert_eq!(play(request(items.clone())).await, first);

    items.extend([called("c1", "terminal"), called("c2", "get_weather")]);
    items.extend([returned("c1", "total 0\n", false), returned("c2", "no such tool", true)]);
    let second = calls(&[
        ("write_file", r#"{"path":"a b.txt","content":"one\n two\n\n"}"#),
        ("read_file", r#"{"path":"a b.txt"}"#),
    ]);
    assert_eq!(play(request(items.clone())).await, second);

    items.extend([called("c3", "write_file"), returned("c3", "written", false)]);
    let summary = "Done. What the tools said:\n\nterminal:\ntotal 0\n\nget_weather (failed):\nno such tool\n\n\
        write_file:\nwritten";
    assert_eq!(play(request(items)).await, says(summary));
}

#[tokio::test]
async fn an_answer_is_mended_as_the_script_says_or_stays_as_it_is() {
    let note = user(&format!("{REPAIR} it is not JSON."));
    let asked_again =
        |script: &str| request(vec![user(script), Item::Message(Message::of(Role::Assistant, "No")), note.clone()]);
    let script = "say: No\nmend: {\"a\":\n| 1}";
    assert_eq!(play(request(vec![user(script)])).await, says("No"));
    assert_eq!(play(asked_again(script)).await, says("{\"a\":\n1}"));
    assert_eq!(play(asked_again("say: No")).await, says("No"));
}

#[tokio::test]
async fn calls_come_in_every_shape() {
    let script = "call: f {\"a\"\nshape: fragments same-index\ncall: g {}\nshape: no-ids no-index\ncall: h";
    let fragments: Vec<_> = events(request(vec![user(script)]))
        .await
        .into_iter()
        .filter_map(|event| match event {
            Ok(UpstreamEvent::ToolCall(fragment)) => Some(fragment),
            _ => None,
        })
        .map(|fragment| (fragment.index, fragment.id.is_some(), fragment.name, fragment.arguments))
        .collect();
    let name = |name: &str| Some(name.to_owned());
    let expected = [
        (Some(0), true, name("f"), "{\"a\"".to_owned()),
        (Some(0), true, name("g"), String::new()),
        (Some(0), false, None, "{".to_owned()),
        (Some(0), false, None, "}".to_owned()),
        (None, false, name("h"), String::new()),
    ];
    assert_eq!(fragments, expected);
}

#[tokio::test]
async fn ids_are_the_same_for_the_same_conversation_alone() {
    let ids = |items: Vec<Item>| async {
        let all = events(request(items)).await.into_iter();
        let id = |event| match event {
            Ok(UpstreamEvent::ToolCall(fragment)) => fragment.id,
            _ => None,
        };
        all.filter_map(id).collect::<Vec<_>>()
    };
    let one = ids(vec![user("run: a\nrun: b")]).await;
    assert_eq!(one, ids(vec![user("run: a\nrun: b")]).await);
    let other = ids(vec![user("hi"), user("run: a\nrun: b")]).await;
    let all = std::collections::HashSet::<_>::from_iter(one.into_iter().chain(other));
    assert_eq!(all.len(), 4, "{all:?}");
}

#[tokio::test]
async fn a_script_can_go_wrong_in_every_way() {
    let failed = |kind, text: &str| {
        Some(Failure::new(kind, format!("upstream `rehearsal` {text}")).saying("the script told it to"))
    };
    let limited = failed(FailureKind::RateLimited, "is over its rate limit (429)").map(|f| f.with_retry_after(7));
    let cut = Failure::new(FailureKind::UpstreamBroken, "upstream `rehearsal` broke off, as its script told it to");
    let cases = [
        ("fail: 429 7", Played { failure: limited, ..Played::default() }),
        (
            "fail: context",
            Played {
                failure: failed(FailureKind::ContextLength, "has no room for so long a conversation (400)"),
                ..Played::default()
            },
        ),
        (
            "say: a b\nfail: 503",
            Played {
                text: "a b".into(),
                failure: failed(FailureKind::UpstreamUnavailable, "is unavailable (503)"),
                ..Played::default()
            },
        ),
        ("say: a b\ncut\nsay: c", Played { text: "a b".into(), failure: Some(cut), ..Played::default() }),
        ("say: a b\nfinish: length", Played { finish: Some(FinishReason::Length), ..says("a b") }),
        ("refuse: No.", Played { refusal: "No.".into(), ..says("") }),
        ("say: a\nwait: 1ms\nsay: b\ncount: 3", says("a\nb\n1 2 3")),
        ("say:", says("")),
    ];
    for (script, expected) in cases {
        assert_eq!(play_script(script).await, expected, "{script}");
    }
}

#[tokio::test]
async fn the_call_opens_before_the_first_thing_said_and_not_earlier() {
    let opened = |events: &[Result<UpstreamEvent, Failure>]| {
        events.iter().filter(|event| **event == Ok(UpstreamEvent::Opened)).count()
    };
    assert_eq!(opened(&events(request(vec![user("fail: 503")])).await), 0);
    assert_eq!(opened(&events(request(vec![user("open\nfail: 503")])).await), 1);
    assert_eq!(opened(&events(request(vec![user("open\nsay: a b")])).await), 1);

    let start = Instant::now();
    let mut stream = Rehearsal.call(request(vec![user("wait: 200ms\nsay: a\nstall")]));
    assert_eq!(stream.next().await, Some(Ok(UpstreamEvent::Opened)));
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(stream.next().await, Some(Ok(UpstreamEvent::Text("a".into()))));
    assert!(tokio::time::timeout(Duration::from_millis(100), stream.next()).await.is_err(), "it stalls");
}

#[tokio::test]
async fn tokens_are_counted_and_limited() {
    let limited = ModelRequest { max_output_tokens: Some(3), ..request(vec![user("think: a b\nsay: c d e")]) };
    let usage = Usage { input: 9, output: 3, reasoning: 2, ..Usage::default() };
    let expected = [
        UpstreamEvent::Opened,
        UpstreamEvent::Reasoning("a ".into()),
        UpstreamEvent::Reasoning("b".into()),
        UpstreamEvent::Text("c ".into()),
        UpstreamEvent::Usage(usage),
        UpstreamEvent::Finish(FinishReason::Length),
    ];
    assert_eq!(events(limited).await, expected.map(Ok));
}

#[tokio::test]
async fn it_says_back_what_reached_it() {
    let request = ModelRequest {
        tool_choice: ToolChoice::Required,
        params: Arc::new(json!({"temperature": 0.5, "max_tokens": 9}).as_object().cloned().unwrap()),
        ..request(vec![Item::Message(Message::of(Role::System, "Be kind.")), user("")])
    };
    let echo = |what: &str, more: Vec<Item>| {
        let mut request = request.clone();
        request.items.pop();
        request.items.push(Arc::new(user(&format!("echo: tools\ncall: f\nthen\necho: {what}"))));
        request.items.extend(more.into_iter().map(Arc::new));
        async { play(request).await.text }
    };
    let answered = || vec![called("c", "f"), returned("c", "x\ny", false)];
    assert_eq!(echo("output", vec![]).await, r#"["terminal","get_weather"]"#);
    for (what, expected) in [
        ("output", "x\ny"),
        ("system", "Be brief.\n\nBe kind."),
        ("choice", "required"),
        ("params", r#"{"temperature":0.5,"max_tokens":9}"#),
    ] {
        assert_eq!(echo(what, answered()).await, expected, "{what}");
    }
    let whole: Value = serde_json::from_str(&echo("request", answered()).await).unwrap();
    let messages: Value = serde_json::from_str(&echo("messages", answered()).await).unwrap();
    assert_eq!(whole["messages"][3], json!({"role": "tool", "tool_call_id": "c", "content": "x\ny"}));
    assert_eq!(messages.as_array().unwrap().len(), 4);
    assert_eq!(play_script("echo: output").await.text, "null");
}

#[tokio::test]
async fn without_tools_it_tells_instead_of_calling() {
    let off = |items| ModelRequest { tools: ToolList::default(), ..request(items) };
    let script = "say: Now. \nrun: ls\nthen\nrun: id\nthen\nsay: b";
    let started = says("Now.\nI would call `terminal` now, but no tools are offered.");
    assert_eq!(play(off(vec![user(script)])).await, started);
    let none = ModelRequest { tool_choice: ToolChoice::None, ..request(vec![user(script)]) };
    assert_eq!(play(none).await, started);

    let items = vec![user(script), called("c", "terminal"), returned("c", "a.txt", false)];
    let stands =
        "No more tools may be called, so this stops after 1 of 3 steps. What the tools said:\n\nterminal:\na.txt";
    assert_eq!(play(off(items)).await, says(stands));
    let unasked = calls(&[("terminal", r#"{"command":"ls"}"#)]);
    assert_eq!(play(off(vec![user("shape: unasked\nrun: ls")])).await, unasked);
}

#[tokio::test]
async fn what_is_no_script_is_told_how_to_get_a_model() {
    for message in ["Hello", "Please run: ls", "", "then what?", "\n USER: hi\nrun: ls"] {
        let played = play_script(message).await;
        assert_eq!(played, says(answer::introduction()), "{message:?}");
    }
    let demanded = |tool_choice| ModelRequest { tool_choice, ..request(vec![user("Hello")]) };
    assert_eq!(play(demanded(ToolChoice::Required)).await, calls(&[("terminal", "{}")]));
    let named = demanded(ToolChoice::Function("get_weather".into()));
    assert_eq!(play(named).await, calls(&[("get_weather", "{}")]));
    let items = vec![user("Hello"), called("c", "get_weather"), returned("c", "rain", false)];
    let named = ModelRequest { tool_choice: ToolChoice::Required, ..request(items) };
    assert_eq!(play(named).await, says("Done. What the tools said:\n\nget_weather:\nrain"));
}

#[tokio::test]
async fn housekeeping_gets_a_plausible_answer() {
    let cases = [
        ("Be brief.", "### Task:\nWrite a title, like {\"title\": \"x\"}\nrun: ls", r#"{"title": "Rehearsal"}"#),
        ("Be brief.", "### Task:\nWrite {\"tags\": []}", r#"{"tags": ["Rehearsal"]}"#),
        ("Be brief.", "### Task:\nWrite {\"follow_ups\": []}", r#"{"follow_ups": []}"#),
        ("You are a title generator.", "run: ls", "Rehearsal"),
    ];
    for (instructions, message, expected) in cases {
        let instructions = Some(instructions.into());
        let request = ModelRequest { instructions, tools: ToolList::default(), ..request(vec![user(message)]) };
        assert_eq!(play(request).await, says(expected), "{message}");
    }
}

#[tokio::test]
async fn a_conversation_is_summed_up_by_its_questions() {
    let instructions = Some(format!("{SUMMARY_INSTRUCTIONS}\n\nBe brief.").into());
    let items =
        vec![user("run: ls\nthen"), called("c", "terminal"), returned("c", "a", false), user("And?"), user("Now.")];
    let request = ModelRequest { instructions, tools: ToolList::default(), ..request(items) };
    assert_eq!(play(request).await, says("The rehearsal was asked:\n- run: ls\n- And?"));
}

#[tokio::test]
async fn a_wrong_script_says_where() {
    let cases = [
        ("say: a\nthanks", "line 2: this is no directive (see docs/rehearsal.md)"),
        ("say: a\nthen\nsay: b", "line 2: nothing can follow a step that calls no tool"),
        ("fail: 200", "line 1: expected a status from 400 to 599, and perhaps seconds for Retry-After; or context"),
        (
            "fail: 429 soon",
            "line 1: expected a status from 400 to 599, and perhaps seconds for Retry-After; or context",
        ),
        ("say: a\n\nwait: long", "line 3: expected a time like 250ms or 1.5s, up to an hour"),
        ("wait: -1s", "line 1: expected a time like 250ms or 1.5s, up to an hour"),
        ("count: 99999999", "line 1: expected a number up to 10000000, and perhaps a pause like 50ms"),
        ("echo: all", "line 1: expected system, tools, choice, output, params, messages or request"),
        ("finish: now", "line 1: expected stop, tool_calls, length or content_filter"),
        ("shape: odd", "line 1: expected any of whole, fragments, no-ids, no-index, same-index, unasked"),
        ("run:", "line 1: expected a command"),
        ("call:", "line 1: expected a tool's name and its arguments"),
        ("write:\n| x", "line 1: expected a path, and the content in lines that begin with |"),
    ];
    for (script, problem) in cases {
        assert_eq!(play_script(script).await, says(&format!("The script is wrong in {problem}.")), "{script}");
    }
}

#[test]
fn the_scripts_of_the_documentation_are_scripts() {
    let docs = include_str!("../../../docs/rehearsal.md");
    let blocks: Vec<&str> = docs.split("```script\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        assert!(matches!(script::parse(block), Script::Steps(_)), "{block}: {:?}", script::parse(block));
    }
}

#[tokio::test]
async fn every_word_is_certain_where_a_request_asks() {
    let params = json!({"logprobs": true, "top_logprobs": 3}).as_object().cloned().unwrap();
    let asked = ModelRequest { params: Arc::new(params), ..request(vec![user("think: Hm\nsay: Hello you")]) };
    let token = |word: &str| Likely { token: word.into(), logprob: 0.0, bytes: word.as_bytes().to_vec() };
    let word = |word: &str| Logprob { token: token(word), top_logprobs: vec![token(word)] };
    let expected = Played { reasoning: "Hm".into(), likely: vec![word("Hello "), word("you")], ..says("Hello you") };
    assert_eq!(play(asked).await, expected);
}
