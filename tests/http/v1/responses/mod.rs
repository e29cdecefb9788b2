//! `/v1/responses`.

mod attached;
mod background;
mod context;
mod malformed;
mod websocket;

use crate::support::{Daemon, REHEARSAL, client};
use nuncio::config::auth::KeyHash;
use serde_json::{Value, json};

pub async fn post(daemon: &Daemon, body: &Value) -> (u16, Value) {
    answer(client().post(daemon.url("/v1/responses")).json(body)).await
}

pub async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    answer(client().get(daemon.url(&format!("/v1/responses/{path}")))).await
}

pub async fn delete(daemon: &Daemon, id: &str) -> (u16, Value) {
    answer(client().delete(daemon.url(&format!("/v1/responses/{id}")))).await
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The events of a stream that ends with `[DONE]`.
pub async fn stream(daemon: &Daemon, mut body: Value) -> Vec<Value> {
    body["stream"] = json!(true);
    events(client().post(daemon.url("/v1/responses")).json(&body)).await
}

pub async fn events(request: reqwest::RequestBuilder) -> Vec<Value> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    read_events(&response.text().await.unwrap())
}

pub fn read_events(text: &str) -> Vec<Value> {
    let events = text.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("a stream without its end: {text}"));
    let frame = |frame: &str| serde_json::from_str(frame.split_once("\ndata: ")?.1).ok();
    events.split("\n\n").filter_map(frame).collect()
}

/// A stream that is read up to the first frame with these words, and then left to its reader.
pub async fn begin(daemon: &Daemon, body: Value, headers: &[(&str, &str)], words: &str) -> (String, reqwest::Response) {
    let mut body = body;
    body["stream"] = json!(true);
    let mut request = client().post(daemon.url("/v1/responses")).json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send().await.unwrap();
    let mut read = String::new();
    while !read.contains(words) {
        read += std::str::from_utf8(&response.chunk().await.unwrap().expect("the stream goes on")).unwrap();
    }
    (read.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned(), response)
}

/// Asks for a response until it is as wanted.
pub async fn until(daemon: &Daemon, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let (status, response) = get(daemon, id).await;
        if status == 200 && wanted(&response) {
            return response;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{id} does not become what it should: {:?}", get(daemon, id).await);
}

pub async fn until_status(daemon: &Daemon, id: &str, status: &str) -> Value {
    until(daemon, id, |response| response["status"] == status).await
}

pub fn text(response: &Value) -> String {
    let parts = response["output"].as_array().unwrap().iter().filter_map(|item| item["content"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

/// What an `echo: messages` says: the history as the model got it.
pub fn history(response: &Value) -> Value {
    serde_json::from_str(&text(response)).unwrap()
}

#[tokio::test]
async fn a_response_is_kept_before_its_stream_ends_and_is_what_the_stream_said() {
    let daemon = Daemon::rehearsing();
    let script = "think: Hm.\nsay: Look\nrun: echo one\nrun: echo two\nthen\nsay: Done";
    let events = stream(&daemon, json!({"model": "nuncio", "input": script})).await;
    let last = events.last().unwrap();
    let kinds: Vec<&str> =
        last["response"]["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        (last["type"].as_str().unwrap(), kinds),
        ("response.completed", vec!["reasoning", "message", "mcp_call", "mcp_call", "message"])
    );
    let response = &last["response"];
    let id = response["id"].as_str().unwrap();
    assert!(events.iter().filter_map(|event| event["response"]["id"].as_str()).all(|other| other == id));
    assert_eq!(get(&daemon, id).await, (200, response.clone()));
    let (status, items) = get(&daemon, &format!("{id}/input_items")).await;
    assert_eq!((status, &items["data"][0]["content"]), (200, &json!([{"type": "input_text", "text": script}])));
    let gone = json!({"id": id, "object": "response", "deleted": true});
    assert_eq!(delete(&daemon, id).await, (200, gone));
    for (status, body) in
        [delete(&daemon, id).await, get(&daemon, id).await, get(&daemon, &format!("{id}/input_items")).await]
    {
        assert_eq!((status, &body["error"]["code"]), (404, &json!("response_not_found")));
    }
}

#[tokio::test]
async fn a_plain_answer_is_the_object_that_is_kept() {
    let daemon = Daemon::rehearsing();
    let (status, response) =
        post(&daemon, &json!({"model": "nuncio", "input": "say: Hello", "instructions": "be"})).await;
    assert_eq!((status, response["status"].as_str(), text(&response).as_str()), (200, Some("completed"), "Hello"));
    assert_eq!(get(&daemon, response["id"].as_str().unwrap()).await, (200, response));
}

#[tokio::test]
async fn a_conversation_goes_on_with_all_that_was_done_but_not_the_instructions() {
    let daemon = Daemon::rehearsing();
    let ask = async |input: &str, previous: Option<&Value>, instructions: Option<&str>| {
        let previous = previous.map(|response| response["id"].clone());
        let body =
            json!({"model": "nuncio", "input": input, "previous_response_id": previous, "instructions": instructions});
        let (status, response) = post(&daemon, &body).await;
        assert_eq!(status, 200, "{response}");
        response
    };
    let first = ask("run: echo kept > note.txt; cat note.txt", None, Some("one")).await;
    let second = ask("run: cat note.txt", Some(&first), Some("two")).await;
    let seen = second["output"][0]["output"].as_str().unwrap();
    assert!(seen.starts_with("kept\n"), "another workspace: {seen}");
    let third = history(&ask("echo: messages", Some(&second), Some("three")).await);
    let said = |at: usize| (third[at]["role"].as_str().unwrap().to_owned(), third[at]["content"].clone());
    assert_eq!(said(0), ("system".into(), json!("three")));
    let roles: Vec<String> = (1..third.as_array().unwrap().len()).map(|at| said(at).0).collect();
    let turn = ["user", "assistant", "tool", "assistant"];
    assert_eq!(roles, [turn.as_slice(), &turn, &["user"]].concat());
    assert!(third[3]["content"].as_str().unwrap().starts_with("kept\n"), "{third}");
    // Each response can be gone on from, not the last alone.
    let fork = history(&ask("echo: messages", Some(&first), None).await);
    assert_eq!(fork.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_is_not_kept_cannot_be_found() {
    let key = |name: &str| format!("{{name: {name}, hash: '{}'}}", KeyHash::of(name));
    let daemon = Daemon::with(&format!("{REHEARSAL}auth: {{keys: [{}, {}]}}\n", key("ann"), key("bob")));
    let ask = async |key: &str, body: Value| {
        answer(client().post(daemon.url("/v1/responses")).bearer_auth(key).json(&body)).await
    };
    let body = json!({"model": "nuncio", "input": "say: Hello"});
    let (_, kept) = ask("ann", body.clone()).await;
    let mut unkept = body.clone();
    unkept["store"] = json!(false);
    let (_, unkept) = ask("ann", unkept).await;
    assert_eq!((unkept["status"].as_str(), &unkept["store"]), (Some("completed"), &json!(false)));
    let streamed = json!({"model": "nuncio", "input": "say: One\nrun: echo", "store": false, "stream": true});
    let told = events(client().post(daemon.url("/v1/responses")).bearer_auth("ann").json(&streamed)).await;
    let numbers: Vec<u64> = told.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..told.len() as u64).collect::<Vec<_>>());
    let from = |id: &Value| json!({"model": "nuncio", "input": "say: More", "previous_response_id": id});
    assert_eq!(ask("ann", from(&kept["id"])).await.0, 200);
    for (key, id) in [("bob", &kept["id"]), ("ann", &unkept["id"]), ("ann", &json!("resp_x"))] {
        let (status, body) = ask(key, from(id)).await;
        let error = (&body["error"]["code"], &body["error"]["param"]);
        assert_eq!((status, error), (404, (&json!("previous_response_not_found"), &json!("previous_response_id"))));
    }
    let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
    assert_eq!(answer(client().delete(daemon.url(&path)).bearer_auth("bob")).await.0, 404);
    assert_eq!(answer(client().get(daemon.url(&path)).bearer_auth("ann")).await, (200, kept));
}

#[tokio::test]
async fn a_client_tool_goes_both_ways_by_id_and_by_history() {
    let daemon = Daemon::rehearsing();
    let tools = json!([{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]);
    let question = json!({"role": "user", "content": "run: echo first\ncall: get_weather {\"city\": \"Bonn\"}"});
    let (_, asked) = post(&daemon, &json!({"model": "nuncio", "input": [question], "tools": tools})).await;
    let output = asked["output"].as_array().unwrap();
    assert_eq!(
        output.iter().map(|item| item["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["mcp_call", "function_call"]
    );
    assert_eq!((&output[1]["name"], &output[1]["arguments"]), (&json!("get_weather"), &json!("{\"city\": \"Bonn\"}")));
    let result = json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "rain"});
    let by_id = json!({"model": "nuncio", "input": [result], "previous_response_id": asked["id"], "tools": tools});
    let everything: Vec<&Value> = [&question].into_iter().chain(output).chain([&result]).collect();
    let by_history = json!({"model": "nuncio", "input": everything, "store": false, "tools": tools});
    for body in [by_id, by_history] {
        let (status, response) = post(&daemon, &body).await;
        let said = text(&response);
        assert!(status == 200 && said.contains("rain") && said.contains("first"), "{response}");
    }
    let (status, body) =
        post(&daemon, &json!({"model": "nuncio", "input": "hi", "previous_response_id": asked["id"]})).await;
    assert!(status == 400 && body["error"]["message"].as_str().unwrap().starts_with("No tool output found"), "{body}");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_incomplete_and_can_be_gone_on_from() {
    let daemon = Daemon::rehearsing();
    let body = json!({"model": "nuncio", "input": "count: 100", "max_output_tokens": 16});
    let (status, cut) = post(&daemon, &body).await;
    let details = json!({"reason": "max_output_tokens", "detail": "output_tokens"});
    assert_eq!((status, &cut["status"], &cut["incomplete_details"]), (200, &json!("incomplete"), &details));
    assert_eq!((&cut["output"][0]["status"], &cut["completed_at"]), (&json!("incomplete"), &Value::Null));
    let (status, _) =
        post(&daemon, &json!({"model": "nuncio", "input": "say: On", "previous_response_id": cut["id"]})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_failure_is_a_status_at_first_and_a_failed_response_later() {
    let daemon = Daemon::rehearsing();
    for streamed in [false, true] {
        let (status, body) =
            post(&daemon, &json!({"model": "nuncio", "input": "fail: 429 7", "stream": streamed})).await;
        assert_eq!((status, &body["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    }
    let (status, _) = post(&daemon, &json!({"model": "nuncio", "input": "say: So\ncut"})).await;
    assert_eq!(status, 502);
    let events = stream(&daemon, json!({"model": "nuncio", "input": "say: So\ncut"})).await;
    let last = events.last().unwrap();
    assert!(events.iter().all(|event| event["type"] != "error"));
    assert_eq!(
        (&last["type"], &last["response"]["error"]["code"]),
        (&json!("response.failed"), &json!("server_error"))
    );
    let id = last["response"]["id"].as_str().unwrap();
    assert_eq!(get(&daemon, id).await, (200, last["response"].clone()));
    // Nobody may be led to repeat what has changed something.
    let events = stream(&daemon, json!({"model": "nuncio", "input": "run: touch it\nthen\nsay: So\ncut"})).await;
    assert_eq!(events.last().unwrap()["response"]["error"]["code"], "invalid_prompt");
}

/// The client has read the id and goes; what was done until then is kept and marked as incomplete.
#[tokio::test]
async fn what_was_done_for_a_client_that_left_is_kept_as_incomplete() {
    let daemon = Daemon::rehearsing();
    let body = json!({"model": "nuncio", "input": "say: Begun\nstall"});
    let (id, response) = begin(&daemon, body, &[], "\"delta\":\"Begun\"").await;
    drop(response);
    let kept = until_status(&daemon, &id, "incomplete").await;
    assert_eq!((text(&kept).as_str(), &kept["incomplete_details"]["detail"]), ("Begun", &json!("disconnected")));
}

#[tokio::test]
async fn a_profile_chooses_how_its_tools_are_shown() {
    let daemon = Daemon::with(&format!(
        "{REHEARSAL}profiles: {{hid: {{tool_activity: hidden}}, fun: {{tool_activity: function_call}}}}\n"
    ));
    for (model, expected) in
        [("hid", vec!["message"]), ("fun", vec!["function_call", "function_call_output", "message"])]
    {
        let (_, response) = post(&daemon, &json!({"model": model, "input": "run: echo hi"})).await;
        let kinds: Vec<&str> =
            response["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, expected, "{response}");
    }
}
