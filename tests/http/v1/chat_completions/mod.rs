//! `POST /v1/chat/completions`.

mod answers;
mod fields;
mod malformed;
mod messages;
mod tools;
mod typed;

use crate::recorder::{Recorder, says};
use crate::support::{Daemon, client};
use serde_json::{Value, json};

/// A daemon whose upstream records what it is asked.
struct Recorded {
    upstream: Recorder,
    daemon: Daemon,
}

impl Recorded {
    /// The upstream always says `{}`, which is in every form that a test asks for.
    async fn with(profile: &str) -> Self {
        Self::answering(profile, vec![says("{}")]).await
    }

    async fn answering(profile: &str, answers: Vec<String>) -> Self {
        let upstream = Recorder::answering(answers).await;
        let daemon = Daemon::with(&upstream.yaml(profile));
        Self { upstream, daemon }
    }

    /// The status and body of the answer to a request.
    async fn post(&self, body: &Value) -> (u16, Value) {
        post(&self.daemon, body).await
    }

    /// What reaches the upstream when a client sends this.
    async fn forwarded(&self, body: &Value) -> Value {
        let (status, answer) = self.post(body).await;
        assert_eq!(status, 200, "{answer} to {body}");
        self.upstream.take().await
    }
}

async fn post(daemon: &Daemon, body: &Value) -> (u16, Value) {
    let response = client().post(daemon.url("/v1/chat/completions")).json(body).send().await.unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A good request with these fields besides.
fn with(patch: Value) -> Value {
    merged(json!({"model": "nuncio", "messages": [{"role": "user", "content": "Hello"}]}), patch)
}

/// What reaches the upstream of a request that has only a user's `Hello`, with these fields besides.
fn sent_on(patch: Value) -> Value {
    let body = json!({
        "model": "their-model",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    merged(body, patch)
}

fn merged(mut body: Value, patch: Value) -> Value {
    body.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    body
}
