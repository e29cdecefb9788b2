//! What becomes of each field on its way to the upstream.

use super::{Recorded, merged, post, sent_on, with};
use crate::recorder::{Recorder, says};
use crate::support::{Daemon, client};
use nuncio::config::auth::KeyHash;
use serde_json::{Value, json};

/// A profile without tools and instructions, so that what arrives is what was sent.
const PLAIN: &str = "{tools: []}";

/// One of everything that is passed on, the largest and oddest values that are allowed among them.
fn passed_on() -> Value {
    json!({
        "temperature": 0,
        "top_p": 0.125,
        "stop": ["\n\n", "END"],
        "seed": -9_007_199_254_740_993_i64,
        "presence_penalty": -2,
        "frequency_penalty": 2.0,
        "logit_bias": {"50256": -100, "1": 0.5},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "strict": true, "schema": {"type": "object", "x-order": ["b", "a"]}},
        },
        "reasoning_effort": "minimal",
        "verbosity": "low",
        "user": "ünï \u{1f600} \u{0}",
        "safety_identifier": "s",
        "prompt_cache_key": "p",
        "metadata": {"chat": "42", "": ""},
        "service_tier": "flex",
        "web_search_options": {"user_location": null},
        "prediction": {"type": "content", "content": "x"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "top_k": 40,
        "min_p": 0.05,
        "unknown": [null, true, 1e-9, 18_446_744_073_709_551_615_u64, {"deep": {"er": []}}],
        "unknown_null": null,
    })
}

#[tokio::test]
async fn what_is_passed_on_arrives_unchanged() {
    let recorded = Recorded::with(PLAIN).await;
    for stream in [json!({}), json!({"stream": false}), json!({"stream": true})] {
        let body = recorded.forwarded(&merged(with(passed_on()), stream)).await;
        assert_eq!(body, sent_on(passed_on()));
    }
}

#[tokio::test]
async fn each_field_alone_changes_nothing_else() {
    let recorded = Recorded::with(PLAIN).await;
    // What is sent, and what arrives beside what always does.
    let fields = [
        (json!({}), json!({})),
        (json!({"max_tokens": 100}), json!({"max_tokens": 100})),
        (json!({"max_tokens": 100.0}), json!({"max_tokens": 100})),
        (json!({"max_completion_tokens": 100}), json!({"max_completion_tokens": 100})),
        (json!({"response_format": {"type": "text"}}), json!({})),
        (json!({"response_format": {"type": "json_object"}}), json!({"response_format": {"type": "json_object"}})),
        (json!({"stop": "END"}), json!({"stop": "END"})),
        (json!({"stop": null, "temperature": null, "max_tokens": null, "user": null}), json!({})),
        (json!({"stream": true, "stream_options": {"include_usage": false}}), json!({})),
        (json!({"stream": true, "stream_options": null}), json!({})),
        (json!({"n": 1, "logprobs": false, "top_logprobs": 0, "modalities": ["text"], "audio": null}), json!({})),
        (json!({"logprobs": true, "top_logprobs": 0}), json!({"logprobs": true})),
        (json!({"logprobs": true, "top_logprobs": 20}), json!({"logprobs": true, "top_logprobs": 20})),
        (json!({"store": true}), json!({})),
        (json!({"tools": [], "parallel_tool_calls": false}), json!({})),
        (json!({"tools": null, "tool_choice": null, "functions": null}), json!({})),
        (json!({"tool_choice": "auto"}), json!({})),
    ];
    for (sent, arrived) in fields {
        assert_eq!(recorded.forwarded(&with(sent.clone())).await, sent_on(arrived), "{sent}");
    }
}

#[tokio::test]
async fn a_profile_fills_in_what_the_client_leaves_out() {
    let profile = "{tools: [], sampling: {temperature: 0.25, top_k: 7}, limits: {output_tokens: 50}}";
    let recorded = Recorded::with(profile).await;
    let cases = [
        (json!({}), json!({"temperature": 0.25, "top_k": 7, "max_tokens": 50})),
        (json!({"temperature": 1}), json!({"temperature": 1, "top_k": 7, "max_tokens": 50})),
        (json!({"temperature": null}), json!({"temperature": 0.25, "top_k": 7, "max_tokens": 50})),
        (json!({"max_tokens": 20}), json!({"temperature": 0.25, "top_k": 7, "max_tokens": 20})),
        (json!({"max_completion_tokens": 900}), json!({"temperature": 0.25, "top_k": 7, "max_completion_tokens": 50})),
    ];
    for (sent, arrived) in cases {
        assert_eq!(recorded.forwarded(&with(sent.clone())).await, sent_on(arrived), "{sent}");
    }
}

#[tokio::test]
async fn the_upstream_sees_its_own_key_and_nothing_of_the_clients_headers() {
    let upstream = Recorder::answering(vec![says("ok")]).await;
    let auth = format!("auth: {{keys: [{{name: bob, hash: '{}'}}]}}\n", KeyHash::of("bobs-key"));
    let daemon = Daemon::with(&format!("{}{auth}", upstream.yaml(PLAIN)));
    let request = client().post(daemon.url("/v1/chat/completions?api-version=1")).bearer_auth("bobs-key");
    let request = request.header("x-openwebui-user-email", "bob@example.org").header("cookie", "a=b");
    let response = request.header("x-stainless-lang", "js").json(&with(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let requests = upstream.requests().await;
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(
        (request.method.as_str(), request.url.path(), request.url.query()),
        ("POST", "/v1/chat/completions", None)
    );
    assert_eq!(request.headers["authorization"], "Bearer upstreams-key");
    let mut names: Vec<&str> = request.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "authorization", "content-length", "content-type", "host", "user-agent"]);
}

#[tokio::test]
async fn an_unknown_model_is_refused_with_the_names_there_are_or_served_by_the_default() {
    let upstream = Recorder::answering(vec![says("ok")]).await;
    let profiles = "profiles: {ann: {tools: []}, org/bob: {tools: [], default: true, model: bobs-model}}\n";
    let yaml = upstream.yaml(PLAIN).replace("profiles: {nuncio: {tools: []}}\n", profiles);
    let error = json!({"error": {
        "message": "The model `gpt-4` does not exist. There is: `ann`, `org/bob`.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }});
    let refusing = Daemon::with(&yaml);
    for stream in [false, true] {
        let body = with(json!({"model": "gpt-4", "stream": stream}));
        assert_eq!(post(&refusing, &body).await, (404, error.clone()));
    }
    let serving = Daemon::with(&format!("{yaml}server: {{unknown_model: default}}\n"));
    let cases =
        [("gpt-4", "org/bob", "bobs-model"), ("org/bob", "org/bob", "bobs-model"), ("ann", "ann", "their-model")];
    for (asked, answered, model) in cases {
        let (status, answer) = post(&serving, &with(json!({"model": asked}))).await;
        assert_eq!((status, &answer["model"]), (200, &json!(answered)), "{asked}");
        assert_eq!(upstream.take().await, sent_on(json!({"model": model})), "{asked}");
    }
}
