//! Which tools a run may call, and how often.

use super::*;
use crate::recorder::{Recorder, says, stream as upstream_stream};

fn kinds(response: &Value) -> Vec<(&str, &str)> {
    let items = response["output"].as_array().unwrap().iter();
    items.map(|item| (item["type"].as_str().unwrap(), item["status"].as_str().unwrap())).collect()
}

/// Two calls in one go, whatever the request said.
fn two_calls() -> String {
    let call = |index: u32| {
        let function =
            json!({"name": "terminal", "arguments": json!({"command": format!("echo {index}")}).to_string()});
        json!({"index": index, "id": format!("c{index}"), "type": "function", "function": function})
    };
    upstream_stream(json!({"tool_calls": [call(0), call(1)]}), "tool_calls", None)
}

#[tokio::test]
async fn without_parallel_calls_the_first_of_a_step_counts_alone_on_both_apis() {
    let chat =
        json!({"model": "nuncio", "messages": [{"role": "user", "content": "go"}], "parallel_tool_calls": false});
    let responses = json!({"model": "nuncio", "input": "go", "parallel_tool_calls": false});
    for (path, body) in [("/v1/chat/completions", chat), ("/v1/responses", responses)] {
        let upstream = Recorder::answering(vec![two_calls(), says("Done")]).await;
        let daemon = Daemon::with(&upstream.yaml("{tools: [terminal]}"));
        let (status, answer) = answer(client().post(daemon.url(path)).json(&body)).await;
        assert_eq!(status, 200, "{answer}");
        let bodies = upstream.bodies().await;
        assert_eq!(bodies[0]["parallel_tool_calls"], json!(false));
        let messages = bodies[1]["messages"].as_array().unwrap();
        let calls = messages[messages.len() - 2]["tool_calls"].as_array().unwrap();
        assert_eq!((calls.len(), &calls[0]["function"]["arguments"]), (1, &json!("{\"command\":\"echo 0\"}")));
        if path == "/v1/responses" {
            assert_eq!(kinds(&answer), [("mcp_call", "completed"), ("message", "completed")]);
        }
    }
}

#[tokio::test]
async fn calls_beyond_the_limit_are_not_run_and_the_run_ends_well() {
    let daemon = Daemon::rehearsing();
    let script = "run: echo 1 >> log\nrun: echo 2 >> log\nrun: echo 3 >> log\nthen\nrun: cat log";
    let body = json!({"model": "nuncio", "input": script, "max_tool_calls": 2});
    let (status, response) = post(&daemon, &body).await;
    assert_eq!((status, &response["status"], &response["max_tool_calls"]), (200, &json!("completed"), &json!(2)));
    let expected =
        [("mcp_call", "completed"), ("mcp_call", "completed"), ("mcp_call", "failed"), ("message", "completed")];
    assert_eq!(kinds(&response), expected);
    let error = &response["output"][2]["error"];
    assert_eq!((&error["type"], &response["output"][2]["output"]), (&json!("mcp_tool_execution_error"), &Value::Null));
    assert!(error["content"][0]["text"].as_str().unwrap().contains("allows 2 tool calls"), "{error}");
    // The rehearsal was offered no more tools, so it says where it stands instead of calling one.
    assert!(text(&response).starts_with("No more tools may be called"), "{response}");
}

#[tokio::test]
async fn kinds_of_tools_that_are_not_here_do_not_break_a_request() {
    let daemon = Daemon::rehearsing();
    let others = json!([
        {"type": "namespace", "name": "n", "tools": []}, {"type": "web_search"}, {"type": "custom", "name": "patch"},
        {"type": "tool_search"}, {"type": "image_generation"}, {"type": "never_heard_of"},
    ]);
    let (status, response) = post(&daemon, &json!({"model": "nuncio", "input": "run: echo hi", "tools": others})).await;
    assert_eq!((status, &response["tools"]), (200, &json!([])));
    assert_eq!(kinds(&response)[0], ("mcp_call", "completed"));
    let demand = json!({"model": "nuncio", "input": "hi", "tools": others, "tool_choice": {"type": "web_search"}});
    let (status, body) = post(&daemon, &demand).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("tool_choice.type")));
}

/// The Agents SDK has no other way to say that it brings none.
#[tokio::test]
async fn an_empty_list_of_tools_turns_them_off_except_for_who_always_sends_it() {
    let daemon = Daemon::rehearsing();
    let body = json!({"model": "nuncio", "input": "run: echo hi", "tools": []});
    let ask = async |agent: &str| {
        let request = client().post(daemon.url("/v1/responses")).header("user-agent", agent).json(&body);
        answer(request).await.1
    };
    for (agent, kind) in
        [("Agents/Python 0.24.0", "mcp_call"), ("OpenAI/Python 3.52.0", "message"), ("NotAgents/1", "message")]
    {
        assert_eq!(kinds(&ask(agent).await)[0].0, kind, "{agent}");
    }
}

#[tokio::test]
async fn probabilities_are_shown_where_they_are_asked_for() {
    let daemon = Daemon::rehearsing();
    let token = |word: &str| json!({"token": word, "logprob": 0.0, "bytes": word.as_bytes()});
    let likely = |word: &str, top: Value| {
        let mut likely = token(word);
        likely["top_logprobs"] = top;
        likely
    };
    let asked = |patch: Value| {
        let mut body = json!({"model": "nuncio", "input": "say: So it is"});
        body.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        body
    };
    let words = ["So ", "it ", "is"];
    let included = words.iter().map(|word| likely(word, json!([]))).collect::<Value>();
    let with_top = words.iter().map(|word| likely(word, json!([token(word)]))).collect::<Value>();
    let cases = [
        (json!({"include": ["message.output_text.logprobs"]}), 0, included),
        (json!({"top_logprobs": 2}), 2, with_top),
        (json!({}), 0, json!([])),
    ];
    for (patch, top, expected) in cases {
        let (_, response) = post(&daemon, &asked(patch.clone())).await;
        let part = &response["output"][0]["content"][0];
        assert_eq!((&part["logprobs"], &response["top_logprobs"]), (&expected, &json!(top)), "{patch}");
        let events = stream(&daemon, asked(patch)).await;
        let told: Vec<Value> = events
            .iter()
            .filter(|event| event["type"] == "response.output_text.delta")
            .flat_map(|event| event["logprobs"].as_array().unwrap().clone())
            .collect();
        assert_eq!(json!(told), expected);
    }
}

/// What the server did in a turn that waits for a client's tool is known to the request that brings the result.
#[tokio::test]
async fn of_a_turn_that_is_not_to_be_kept_nothing_is_on_the_disk() {
    let daemon = Daemon::rehearsing();
    let tools = json!([{"type": "function", "name": "ask", "parameters": {"type": "object"}}]);
    let database = daemon.folder.path().join("data/nuncio.db");
    let on_disk = |text: &str| {
        let holds = |path: &std::path::Path| {
            std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
        };
        holds(&database) || holds(&database.with_extension("db-wal"))
    };
    for (store, secret) in [(true, "a-blue-door"), (false, "a-red-door")] {
        let question = json!({"role": "user", "content": format!("run: echo {secret}\ncall: ask {{}}")});
        let body = json!({"model": "nuncio", "input": [question], "tools": tools, "store": store});
        let (_, asked) = post(&daemon, &body).await;
        let output = asked["output"].as_array().unwrap();
        assert_eq!((output.len(), &output[1]["type"], on_disk(secret)), (2, &json!("function_call"), store));
        // As a client sends it that does not know what the server's own items are.
        let result = json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "yes"});
        let body = json!({"model": "nuncio", "input": [question, output[1], result], "tools": tools, "store": false});
        let (status, next) = post(&daemon, &body).await;
        assert_eq!(status, 200, "{next}");
        let expected = format!("Done. What the tools said:\n\nterminal:\n{secret}\n[exit code 0]\n\nask:\nyes");
        assert_eq!(text(&next), expected);
    }
}
