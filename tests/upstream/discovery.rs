//! Finding Ollama, and listing the models of an upstream.

use super::settings;
use nuncio::core::failure::{Failure, FailureKind::*};
use nuncio::upstream::discover::{Ollama, ollama};
use nuncio::upstream::registry::Registry;
use nuncio::upstream::settings::UpstreamSettings;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// An Ollama with these models and what they can do.
async fn ollama_with(models: &[(&str, Value)]) -> MockServer {
    let server = MockServer::start().await;
    let names: Vec<_> = models.iter().map(|(name, _)| json!({"name": name, "size": 1})).collect();
    let tags = ResponseTemplate::new(200).set_body_json(json!({"models": names}));
    Mock::given(method("GET")).and(path("/api/tags")).respond_with(tags).expect(1).mount(&server).await;
    for (name, details) in models {
        let show = Mock::given(method("POST")).and(path("/api/show")).and(body_json(json!({"model": name})));
        show.respond_with(ResponseTemplate::new(200).set_body_json(details)).mount(&server).await;
    }
    server
}

#[tokio::test]
async fn ollama_s_first_model_that_calls_tools_is_found() {
    let server = ollama_with(&[
        ("embed", json!({"capabilities": ["embedding"]})),
        ("old", json!({})),
        ("qwen3:8b", json!({"capabilities": ["completion", "tools"]})),
        ("other", json!({"capabilities": ["tools"]})),
    ])
    .await;
    let base_url = format!("{}/v1", server.uri());
    assert_eq!(ollama(&server.uri()).await, Ollama::Found { base_url, model: "qwen3:8b".into() });

    let server = ollama_with(&[("embed", json!({"capabilities": ["embedding"]}))]).await;
    assert_eq!(ollama(&server.uri()).await, Ollama::WithoutTools { models: 1 });
}

#[tokio::test]
async fn what_is_no_ollama_holds_nothing_up() {
    let other = MockServer::start().await;
    assert_eq!(ollama(&other.uri()).await, Ollama::Absent);

    let slow = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_delay(Duration::from_secs(30)).set_body_json(json!({"models": []}));
    Mock::given(path("/api/tags")).respond_with(answer).mount(&slow).await;
    let start = Instant::now();
    assert_eq!(ollama(&slow.uri()).await, Ollama::Absent);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

async fn models_of(answer: ResponseTemplate) -> Result<Vec<String>, Failure> {
    let server = MockServer::start().await;
    let list = Mock::given(method("GET")).and(path("/v1/models")).and(header("authorization", "Bearer sk-secret"));
    list.respond_with(answer).expect(1).mount(&server).await;
    let base_url = format!("{}/v1", server.uri());
    let settings = UpstreamSettings { api_key: Some("sk-secret".into()), ..settings("main", &base_url) };
    Registry::new(&[settings]).unwrap().models("main", Duration::from_secs(1)).await
}

#[tokio::test]
async fn the_models_of_any_server_are_listed_with_one_request() {
    let json = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let openrouter = json(json!({"data": [{"id": "a/b", "name": "B"}, {"id": "c", "created": 1.5}]}));
    assert_eq!(models_of(openrouter).await, Ok(vec!["a/b".into(), "c".into()]));

    let failure = |kind, what: &str| Failure::new(kind, format!("upstream `main` {what}"));
    let failed = |kind, what: &str| Err(failure(kind, what));
    let cases = [
        (
            ResponseTemplate::new(401).set_body_json(json!({"error": {"message": "bad key sk-secret"}})),
            failed(UpstreamAuth, "refused its API key (401)"),
        ),
        (
            ResponseTemplate::new(403).set_body_json(json!({"error": {"message": "no sk-secret here"}})),
            Err(failure(UpstreamAuth, "forbids this (403)").saying("no [secret] here")),
        ),
        (
            ResponseTemplate::new(500).set_body_string("down"),
            Err(failure(UpstreamUnavailable, "is unavailable (500)").saying("down")),
        ),
        (
            ResponseTemplate::new(200).set_body_string("<html>"),
            failed(UpstreamBroken, "did not answer with a list of models: is base_url right?"),
        ),
        (
            ResponseTemplate::new(200).set_delay(Duration::from_secs(30)),
            failed(UpstreamTimeout, "sent nothing for 1 s"),
        ),
    ];
    for (answer, expected) in cases {
        assert_eq!(models_of(answer).await, expected);
    }
}

#[tokio::test]
async fn models_of_what_is_no_server() {
    let registry = Registry::new(&[]).unwrap();
    let limit = Duration::from_secs(1);
    assert_eq!(registry.models("rehearsal", limit).await, Ok(vec!["rehearsal".into()]));
    assert_eq!(registry.models("main", limit).await.unwrap_err().kind, UpstreamNotFound);
}
