//! What an answer says of itself: model and usage, over all model calls of a run.

use super::{Recorded, with};
use crate::recorder::{call, stream};
use crate::support::Daemon;
use serde_json::{Value, json};

fn usage(prompt: u64, completion: u64, cached: u64, reasoning: u64) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    })
}

/// An upstream that calls a tool of the server, then says something, each with its usage.
async fn two_calls() -> Recorded {
    let answers = vec![
        stream(call("list_files", "{}"), "tool_calls", Some(usage(1000, 20, 512, 7))),
        stream(json!({"content": "Nothing there."}), "stop", Some(usage(1100, 5, 1024, 0))),
    ];
    Recorded::answering("{tools: [list_files]}", answers).await
}

/// The chunks of a stream, without its `[DONE]`.
fn chunks(text: &Value) -> Vec<Value> {
    let text = text.as_str().unwrap();
    let lines = text.split("\n\n").filter(|line| !line.is_empty()).map(|line| line.strip_prefix("data: ").unwrap());
    let mut lines: Vec<&str> = lines.collect();
    assert_eq!(lines.pop(), Some("[DONE]"));
    lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn usage_is_the_sum_over_all_calls() {
    let recorded = two_calls().await;
    let (status, answer) = recorded.post(&with(json!({}))).await;
    let message = json!({"role": "assistant", "content": "Nothing there.", "refusal": null});
    let expected = json!({
        "id": answer["id"],
        "object": "chat.completion",
        "created": answer["created"],
        "model": "nuncio",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": usage(2100, 25, 1536, 7),
    });
    assert_eq!((status, &answer), (200, &expected));
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"), "{answer}");
    assert_eq!(recorded.upstream.bodies().await.len(), 2);
}

#[tokio::test]
async fn a_stream_tells_its_usage_once_at_the_end_and_only_if_asked() {
    for options in [json!(null), json!({}), json!({"include_usage": false})] {
        let recorded = two_calls().await;
        let (_, text) = recorded.post(&with(json!({"stream": true, "stream_options": options}))).await;
        for chunk in chunks(&text) {
            assert_eq!((chunk.get("usage"), &chunk["model"]), (None, &json!("nuncio")), "{options}");
        }
    }
    let recorded = two_calls().await;
    let asked = with(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let mut chunks = chunks(&recorded.post(&asked).await.1);
    let last = chunks.pop().unwrap();
    let expected = json!({
        "id": chunks[0]["id"],
        "object": "chat.completion.chunk",
        "created": chunks[0]["created"],
        "model": "nuncio",
        "choices": [],
        "usage": usage(2100, 25, 1536, 7),
    });
    assert_eq!(last, expected);
    for chunk in &chunks {
        assert_eq!(
            (chunk.get("usage"), &chunk["id"], chunk["choices"].as_array().map(Vec::len)),
            (Some(&Value::Null), &chunks[0]["id"], Some(1))
        );
    }
    let finished: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).filter(|reason| !reason.is_null()).collect();
    assert_eq!(finished, ["stop"]);
}

#[tokio::test]
async fn probabilities_come_with_the_text_that_they_are_of() {
    let daemon = Daemon::rehearsing();
    let question = "think: Hm\nsay: One\nrun: true\nthen\nsay: Two words";
    let mut body = json!({"model": "nuncio", "messages": [{"role": "user", "content": question}], "logprobs": true});
    let token = |word: &str| json!({"token": word, "logprob": 0.0, "bytes": word.as_bytes(), "top_logprobs": []});
    let tokens = |words: &[&str]| words.iter().map(|word| token(word)).collect::<Value>();
    let (_, answer) = super::post(&daemon, &body).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], "One\n\nTwo words");
    assert_eq!(choice["logprobs"], json!({"content": tokens(&["One", "Two ", "words"]), "refusal": null}));
    body["stream"] = json!(true);
    let chunks = chunks(&super::post(&daemon, &body).await.1);
    let said =
        |chunk: &Value| Some((chunk["delta"]["content"].as_str()?.to_owned(), chunk["logprobs"]["content"].clone()));
    let said: Vec<_> = chunks.iter().filter_map(|chunk| said(&chunk["choices"][0])).collect();
    let expected =
        [("", json!(null)), ("One", tokens(&["One"])), ("\n\nTwo ", tokens(&["Two "])), ("words", tokens(&["words"]))];
    assert_eq!(said, expected.map(|(text, tokens)| (text.to_owned(), tokens)));
}
