//! Conversations that are too long: what is left out, what is summed up, and what is counted. The upstream's requests
//! say what the model was shown.

use super::*;
use crate::upstream::{self, Act, Server, calls, says, turn, usage, whole};
use std::time::Duration;
use tokio::task::JoinSet;

/// A daemon in front of this upstream.
fn daemon(server: &Server, profile: &str) -> Daemon {
    Daemon::with(&format!(
        "server: {{max_runs: 1}}\nupstreams: {{default: {{base_url: '{}', model: m, max_retries: 0}}}}\n\
         profiles: {{nuncio: {{tools: [list_files], {profile}}}}}\n",
        server.base_url
    ))
}

/// What each message of a request says, with one letter for its role.
fn shown(server: &Server, number: usize) -> String {
    let message = |message: &Value| {
        let text = message["content"].as_str().unwrap_or_default();
        let calls = message["tool_calls"].as_array().map_or(String::new(), |calls| format!("{} calls", calls.len()));
        let end = text.split_whitespace().last().unwrap_or_default();
        format!("{}:{end}{calls}", &message["role"].as_str().unwrap()[..1])
    };
    let body = &server.requests()[number].body;
    body["messages"].as_array().unwrap().iter().map(message).collect::<Vec<_>>().join(" ")
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// About five hundred tokens that end with this word.
fn long(word: &str) -> String {
    format!("{}{word}", "text ".repeat(600))
}

/// Three turns of five hundred tokens, one with a call, and a question.
fn conversation() -> Vec<Value> {
    vec![
        said("system", "kind"),
        said("user", &long("q1")),
        json!({"type": "function_call", "call_id": "c1", "name": "ask", "arguments": "{}"}),
        json!({"type": "function_call_output", "call_id": "c1", "output": "o1"}),
        said("assistant", "a1"),
        said("user", &long("q2")),
        said("assistant", "a2"),
        said("user", &long("q3")),
        said("assistant", "a3"),
        said("user", "q4"),
    ]
}

const ALL: &str = "s:kind u:q1 a:1 calls t:o1 a:a1 u:q2 a:a2 u:q3 a:a3 u:q4";

fn refuses(message: &str) -> Vec<Act> {
    let error = json!({"message": message, "type": "invalid_request_error", "param": "messages", "code": null});
    whole("400 Bad Request", "content-type: application/json\r\n", &json!({"error": error}).to_string())
}

/// In OpenAI's words.
fn too_long(window: u64, tokens: u64) -> Vec<Act> {
    refuses(&format!(
        "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens. \
         Please reduce the length of the messages."
    ))
}

fn error_of((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["error"]["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn truncation_drops_the_oldest_turns_whole_and_learns_how_many() {
    let server = Server::start(vec![too_long(2500, 1900), upstream::stream("Hi"), upstream::stream("Ho")]).await;
    let daemon = daemon(&server, "");
    let body = json!({"model": "nuncio", "input": conversation(), "truncation": "auto", "max_output_tokens": 1000});
    for (said, requests) in [("Hi", 2), ("Ho", 3)] {
        let (status, response) = post(&daemon, &body).await;
        assert_eq!((status, text(&response).as_str(), &response["truncation"]), (200, said, &json!("auto")));
        assert_eq!(server.count(), requests);
    }
    let fits = "s:kind u:q2 a:a2 u:q3 a:a3 u:q4";
    assert_eq!([0, 1, 2].map(|number| shown(&server, number)), [ALL, fits, fits]);
}

#[tokio::test]
async fn truncation_goes_on_while_a_refusal_gives_no_numbers_and_ends_with_the_latest_turn() {
    let refusal = refuses("Your input exceeds the context window of this model.");
    let server = Server::start(vec![refusal; 9]).await;
    let daemon = daemon(&server, "");
    for stream in [false, true] {
        let body = json!({"model": "nuncio", "input": conversation(), "truncation": "auto", "stream": stream});
        assert_eq!(error_of(&post(&daemon, &body).await), (400, "context_length_exceeded"));
    }
    let calls: Vec<String> = (0..server.count()).map(|number| shown(&server, number)).collect();
    let tries = [ALL, "s:kind u:q2 a:a2 u:q3 a:a3 u:q4", "s:kind u:q3 a:a3 u:q4", "s:kind u:q4"];
    assert_eq!(calls, [tries, tries].concat());
}

#[tokio::test]
async fn a_stream_shows_nothing_of_a_call_that_was_refused() {
    let server = Server::start(vec![too_long(1500, 1900), upstream::stream("Hi")]).await;
    let body = json!({"model": "nuncio", "input": conversation(), "truncation": "auto"});
    let events = stream(&daemon(&server, ""), body).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[2], kinds.len()), ("response.created", "response.output_item.added", 9));
    assert_eq!(text(&events.last().unwrap()["response"]), "Hi");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn truncation_also_makes_room_for_what_tools_bring_in() {
    let looks = || turn([calls(0, "x", "list_files", &json!({}))], "tool_calls");
    let server = Server::start(vec![looks(), too_long(1500, 2000), upstream::stream("Hi")]).await;
    let body = json!({"model": "nuncio", "input": conversation(), "truncation": "auto"});
    let (status, response) = post(&daemon(&server, ""), &body).await;
    assert_eq!((status, text(&response).as_str()), (200, "Hi"));
    let requests = [0, 1, 2].map(|number| shown(&server, number));
    let output = requests[1].rsplit(' ').next().unwrap();
    let expected = [ALL.to_owned(), format!("{ALL} a:1 calls {output}"), format!("s:kind u:q4 a:1 calls {output}")];
    assert_eq!(requests, expected);
}

#[tokio::test]
async fn without_truncation_a_conversation_that_is_too_long_is_refused() {
    let server = Server::start(vec![too_long(1500, 1900), too_long(1500, 1900)]).await;
    let learns = daemon(&server, "");
    let mut body = json!({"model": "nuncio", "input": conversation()});
    for requests in [1, 2] {
        // What was learned shortens conversations and refuses none: it may have changed.
        let (status, answer) = post(&learns, &body).await;
        assert_eq!(error_of(&(status, answer.clone())), (400, "context_length_exceeded"));
        assert!(answer["error"]["message"].as_str().unwrap().contains("resulted in 1900 tokens"), "{answer}");
        assert_eq!(server.count(), requests);
    }
    let configured = daemon(&server, "context_window: 1500");
    assert_eq!(error_of(&post(&configured, &body).await), (400, "context_length_exceeded"));
    body["truncation"] = json!("auto");
    body["input"] = json!(long("q1").repeat(4));
    assert_eq!(error_of(&post(&configured, &body).await), (400, "context_length_exceeded"));
    let chat = json!({"model": "nuncio", "messages": [{"role": "user", "content": long("q1").repeat(4)}]});
    let chat = answer(client().post(configured.url("/v1/chat/completions")).json(&chat)).await;
    assert_eq!(error_of(&chat), (400, "context_length_exceeded"));
    assert_eq!(server.count(), 2, "the upstream was asked");
}

#[tokio::test]
async fn a_rehearsed_refusal_is_told_whatever_was_asked() {
    let daemon = Daemon::rehearsing();
    for truncation in ["auto", "disabled"] {
        let mut input = conversation();
        input.push(said("user", "fail: context"));
        let body = json!({"model": "nuncio", "input": input, "truncation": truncation});
        assert_eq!(error_of(&post(&daemon, &body).await), (400, "context_length_exceeded"));
    }
}

/// The request for a summary, and how a summary is shown to the model.
const SUMMING_UP: &str = "u:q1 a:1 calls t:o1 a:a1 u:q2 a:a2 u:q3 a:a3";

#[tokio::test]
async fn a_conversation_is_summed_up_at_the_threshold_and_goes_on_from_there_by_id_and_by_items() {
    let summed_up = turn([says("in short"), usage(2000, 20)], "stop");
    let answered = turn([says("a4"), usage(100, 3)], "stop");
    let server = Server::start([vec![summed_up, answered], vec![upstream::stream("a5"); 2]].concat()).await;
    let first = daemon(&server, "");
    let management = json!([{"type": "compaction", "compact_threshold": 1500}]);
    let body = json!({"model": "nuncio", "input": conversation(), "context_management": management});
    let (status, response) = post(&first, &body).await;
    let compaction = &response["output"][0];
    let content = compaction["encrypted_content"].as_str().unwrap();
    assert_eq!(compaction, &json!({"type": "compaction", "id": compaction["id"], "encrypted_content": content}));
    assert_eq!((status, text(&response).as_str(), &response["usage"]["total_tokens"]), (200, "a4", &json!(2123)));
    assert!(shown(&server, 0).starts_with("s:summary. ") && shown(&server, 0).contains(SUMMING_UP), "no summary");
    assert!(server.requests()[0].body.get("tools").is_none());
    assert_eq!(shown(&server, 1), "s:short u:q4");

    let by_id = json!({"model": "nuncio", "input": "q5", "previous_response_id": response["id"]});
    assert_eq!(post(&first, &by_id).await.0, 200);
    // Whoever has the item needs nothing of what came before it, and no server that remembers.
    let second = daemon(&server, "");
    let items: Vec<Value> = [vec![said("system", "kind")], response["output"].as_array().unwrap().clone()].concat();
    let items = [items, vec![said("user", "q5")]].concat();
    assert_eq!(post(&second, &json!({"model": "nuncio", "input": items, "store": false})).await.0, 200);
    let bodies = server.requests();
    assert_eq!(shown(&server, 2), "s:short u:q4 a:a4 u:q5");
    assert_eq!(bodies[2].body["messages"], bodies[3].body["messages"]);
    let system = bodies[2].body["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("kind\n\n") && system.ends_with("\n\nin short"), "{system}");
}

#[tokio::test]
async fn without_a_whole_summary_the_run_fails_and_nothing_is_lost() {
    let cut = turn([says("in sho")], "length");
    let server = Server::start(vec![cut, upstream::stream(""), upstream::stream("a5")]).await;
    let daemon = daemon(&server, "");
    let management = json!([{"type": "compaction", "compact_threshold": 1500}]);
    let body = json!({"model": "nuncio", "input": conversation(), "context_management": management});
    let (status, failed) = post(&daemon, &body).await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(status == 502 && message.contains("it was cut off by a limit of tokens"), "{failed}");
    let events = stream(&daemon, body).await;
    let failed = &events.last().unwrap()["response"];
    assert_eq!((&failed["status"], &failed["output"]), (&json!("failed"), &json!([])));
    let on = json!({"model": "nuncio", "input": "q5", "previous_response_id": failed["id"]});
    assert_eq!(post(&daemon, &on).await.0, 200);
    assert_eq!(shown(&server, 2), format!("{ALL} u:q5"));
}

async fn compact(daemon: &Daemon, body: &Value) -> (u16, Value) {
    answer(client().post(daemon.url("/v1/responses/compact")).json(body)).await
}

#[tokio::test]
async fn a_compacted_window_is_input_as_it_stands() {
    let summed_up = turn([says("in short"), usage(2000, 20)], "stop");
    let server = Server::start(vec![upstream::stream("a4"), summed_up, upstream::stream("a5")]).await;
    let daemon = daemon(&server, "");
    let (_, first) = post(&daemon, &json!({"model": "nuncio", "input": conversation()})).await;
    let body = json!({"model": "nuncio", "previous_response_id": first["id"], "instructions": "be brief"});
    let (status, window) = compact(&daemon, &body).await;
    let compaction = &window["output"][0];
    assert_eq!(
        (status, &window),
        (
            200,
            &json!({
                "id": window["id"], "object": "response.compaction", "created_at": window["created_at"],
                "output": [{"type": "compaction", "id": compaction["id"], "encrypted_content": compaction["encrypted_content"]}],
                "usage": {
                    "input_tokens": 2000, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                    "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2020,
                },
            })
        )
    );
    assert!(shown(&server, 1).starts_with("s:brief u:q1"), "{}", shown(&server, 1));
    assert_eq!(get(&daemon, window["id"].as_str().unwrap()).await.0, 404, "it was stored");
    let on: Vec<Value> = [window["output"].as_array().unwrap().clone(), vec![said("user", "q5")]].concat();
    assert_eq!(post(&daemon, &json!({"model": "nuncio", "input": on})).await.0, 200);
    assert_eq!(shown(&server, 2), "s:short u:q5");
    let system = server.requests()[2].body["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(system.starts_with("kind\n\n") && system.ends_with("\n\nin short"), "{system}");
}

#[tokio::test]
async fn a_compacted_conversation_keeps_its_folder() {
    let daemon = Daemon::rehearsing();
    let ask = async |input: Value, previous: Option<&Value>| {
        let previous = previous.map(|response| response["id"].clone());
        let (status, response) =
            post(&daemon, &json!({"model": "nuncio", "input": input, "previous_response_id": previous})).await;
        assert_eq!(status, 200, "{response}");
        response
    };
    let first = ask(json!("run: echo kept > note.txt"), None).await;
    let (_, window) = compact(&daemon, &json!({"model": "nuncio", "previous_response_id": first["id"]})).await;
    let on = |window: &Value, script: &str| {
        json!([window["output"].as_array().unwrap().clone(), vec![said("user", script)]].concat())
    };
    let [compaction] = window["output"].as_array().unwrap().as_slice() else { panic!("{window}") };
    let second = ask(json!([compaction, said("user", "run: cat note.txt")]), None).await;
    assert_eq!(second["output"][0]["output"].as_str().map(|seen| seen.starts_with("kept\n")), Some(true), "{second}");
    let third = ask(json!("run: cat note.txt"), Some(&second)).await;
    assert_eq!(third["output"][0]["output"], second["output"][0]["output"]);
    let system = text(&ask(on(&window, "echo: system"), None).await);
    assert!(system.ends_with("The rehearsal was asked:\n- run: echo kept > note.txt"), "{system}");
}

#[tokio::test]
async fn a_compaction_is_a_run_like_any_other() {
    let server = Server::start(vec![vec![upstream::accepted(), Act::Hold], upstream::stream("")]).await;
    let daemon = daemon(&server, "");
    let body = json!({"model": "nuncio", "input": conversation()});
    let mut held = JoinSet::new();
    held.spawn(client().post(daemon.url("/v1/responses/compact")).json(&body).send());
    server.asked(1).await;
    assert_eq!(error_of(&compact(&daemon, &body).await), (429, "rate_limit_exceeded"));
    // The client leaves.
    drop(held);
    server.hung_up(0).await;
    for _ in 0..200 {
        let next = compact(&daemon, &body).await;
        if next.0 != 429 {
            return assert_eq!(error_of(&next), (502, "upstream_broken"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the run that was left holds its place");
}

async fn count(daemon: &Daemon, body: &Value) -> u64 {
    let (status, counted) = answer(client().post(daemon.url("/v1/responses/input_tokens")).json(body)).await;
    let tokens = counted["input_tokens"].as_u64().unwrap_or_default();
    assert_eq!((status, &counted), (200, &json!({"object": "response.input_tokens", "input_tokens": tokens})));
    tokens
}

#[tokio::test]
async fn tokens_are_counted_with_all_that_would_be_sent() {
    let server = Server::start(vec![upstream::stream("a4")]).await;
    let daemon = daemon(&server, "instructions: Be nice.");
    let mut body = json!({"model": "nuncio", "input": conversation(), "tools": []});
    let plain = count(&daemon, &body).await;
    // It has 1,810 words, and short ones count for less than average.
    assert!((1400..1900).contains(&plain), "{plain}");
    let bare = self::daemon(&server, "");
    assert_eq!(plain - count(&bare, &body).await, 7);
    body["instructions"] = json!("Be nice.");
    assert_eq!(count(&daemon, &body).await - plain, 7);
    body["tools"] = json!(null);
    let with_tools = count(&daemon, &body).await;
    assert!((50..400).contains(&(with_tools - plain)), "{with_tools} with list_files");
    assert_eq!(server.count(), 0, "something was run");

    let body = json!({"model": "nuncio", "input": conversation()});
    let (_, first) = post(&daemon, &body).await;
    let by_id = count(&daemon, &json!({"model": "nuncio", "previous_response_id": first["id"], "input": "q5"})).await;
    let items = [conversation(), vec![said("assistant", "a4"), said("user", "q5")]].concat();
    assert_eq!(by_id, count(&daemon, &json!({"model": "nuncio", "input": items})).await);
    assert!(by_id > count(&daemon, &json!({"model": "nuncio", "previous_response_id": first["id"]})).await);
}
