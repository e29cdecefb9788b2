//! Reasoning that its maker has signed or encrypted: on its way to the client, and back to the model.

use super::*;
use crate::recorder::{Recorder, call};

/// A stream of these deltas.
fn deltas(deltas: &[Value], finish: &str) -> String {
    let chunk =
        |delta: &Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let last = chunk(&json!({}), json!(finish));
    let chunks = deltas.iter().map(|delta| chunk(delta, Value::Null)).chain([last]);
    let lines: String = chunks.map(|chunk| format!("data: {chunk}\n\n")).collect();
    format!("{lines}data: [DONE]\n\n")
}

fn piece(text: Option<&str>, signature: Option<&str>) -> Value {
    let mut piece = json!({"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0});
    for (key, value) in [("text", text), ("signature", signature)] {
        if let Some(value) = value {
            piece[key] = json!(value);
        }
    }
    json!({"reasoning": text, "reasoning_details": [piece]})
}

/// The model thinks in pieces, signs what it thought, and calls a tool; then it answers.
fn answers(tool: &str) -> Vec<String> {
    let thought = [piece(Some("Let"), None), piece(Some(" me see."), None), piece(None, Some("S"))];
    let calls = [thought.to_vec(), vec![call(tool, "{}")]].concat();
    vec![deltas(&calls, "tool_calls"), deltas(&[json!({"content": "Nothing."})], "stop")]
}

fn signed() -> Value {
    json!([{"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": "Let me see.", "signature": "S"}])
}

async fn recorded(tool: &str) -> (Recorder, Daemon) {
    let upstream = Recorder::answering(answers(tool)).await;
    let daemon = Daemon::with(&upstream.yaml("{tools: [list_files]}"));
    (upstream, daemon)
}

/// The assistant's messages that a request to the upstream holds.
async fn told(upstream: &Recorder, request: usize) -> Vec<Value> {
    let messages = upstream.bodies().await[request]["messages"].as_array().unwrap().clone();
    messages.into_iter().filter(|message| message["role"] == "assistant").collect()
}

#[tokio::test]
async fn a_signature_goes_back_with_the_whole_of_what_it_is_for() {
    for stream in [false, true] {
        let (upstream, daemon) = recorded("list_files").await;
        let body = json!({"model": "nuncio", "input": "go", "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}});
        let response = match stream {
            true => super::stream(&daemon, body).await.pop().unwrap()["response"].take(),
            false => post(&daemon, &body).await.1,
        };
        let [message] = &told(&upstream, 1).await[..] else { panic!("one message of the assistant") };
        assert_eq!((&message["reasoning_details"], message.get("reasoning_content")), (&signed(), None));
        let reasoning = &response["output"][0];
        assert_eq!(reasoning["summary"], json!([{"type": "summary_text", "text": "Let me see."}]));
        let sealed = reasoning["encrypted_content"].as_str().unwrap();
        assert!(sealed.starts_with("nuncio1.") && !sealed.contains("Let me"), "{sealed}");
        assert_eq!(get(&daemon, response["id"].as_str().unwrap()).await.1, response);
    }
}

#[tokio::test]
async fn a_client_that_keeps_the_conversation_gets_it_and_sends_it_back() {
    let ask = json!([{"type": "function", "name": "ask"}]);
    let asked = |patch: Value| {
        let mut body = json!({"model": "nuncio", "tools": ask, "include": ["reasoning.encrypted_content"]});
        body.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        body
    };
    let question = json!({"role": "user", "content": "go"});
    for kept in [false, true] {
        let (upstream, daemon) = recorded("ask").await;
        let (_, first) = post(&daemon, &asked(json!({"input": [question], "store": kept}))).await;
        let output = first["output"].as_array().unwrap();
        let result = json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "rain"});
        let body = match kept {
            true => asked(json!({"input": [result], "previous_response_id": first["id"]})),
            false => {
                let items: Vec<&Value> = [&question].into_iter().chain(output).chain([&result]).collect();
                asked(json!({"input": items, "store": false}))
            }
        };
        let (status, second) = post(&daemon, &body).await;
        assert_eq!((status, text(&second).as_str()), (200, "Nothing."), "{second}");
        let [message] = &told(&upstream, 1).await[..] else { panic!("one message of the assistant") };
        assert_eq!(message["reasoning_details"], signed(), "kept here: {kept}");
    }
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_shown_and_what_is_not_ours_is_ignored() {
    let (upstream, daemon) = recorded("list_files").await;
    let (_, response) = post(&daemon, &json!({"model": "nuncio", "input": "go"})).await;
    let content = json!([{"type": "reasoning_text", "text": "Let me see."}]);
    assert_eq!((&response["output"][0]["content"], response["output"][0].get("encrypted_content")), (&content, None));
    let theirs = json!([
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "nuncio1.gAAAAA"},
        {"role": "assistant", "content": "So"},
    ]);
    let (status, _) = post(&daemon, &json!({"model": "nuncio", "input": theirs})).await;
    let [message] = &told(&upstream, 2).await[..] else { panic!("one message of the assistant") };
    assert_eq!((status, &message["reasoning_content"], message.get("reasoning_details")), (200, &json!("Hm."), None));
}
