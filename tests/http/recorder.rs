//! An upstream that keeps every request and answers the n-th with the n-th of its answers.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub struct Recorder(MockServer);

impl Recorder {
    /// The last answer is given again and again.
    pub async fn answering(answers: Vec<String>) -> Self {
        let server = MockServer::start().await;
        let answers = Answers { answers, given: AtomicUsize::new(0) };
        Mock::given(any()).respond_with(answers).mount(&server).await;
        Self(server)
    }

    /// A configuration whose upstream this is, with one profile.
    pub fn yaml(&self, profile: &str) -> String {
        format!(
            "upstreams: {{default: {{base_url: '{}/v1', api_key: upstreams-key, model: their-model}}}}\n\
             profiles: {{nuncio: {profile}}}\n",
            self.0.uri()
        )
    }

    pub async fn requests(&self) -> Vec<Request> {
        self.0.received_requests().await.unwrap()
    }

    pub async fn bodies(&self) -> Vec<Value> {
        self.requests().await.iter().map(|request| request.body_json().unwrap()).collect()
    }

    /// The body of the one request since the start or the last time, which is then forgotten.
    pub async fn take(&self) -> Value {
        let mut bodies = self.bodies().await;
        assert_eq!(bodies.len(), 1, "{bodies:#?}");
        self.0.reset().await;
        let answers = Answers { answers: vec![says("{}")], given: AtomicUsize::new(0) };
        Mock::given(any()).respond_with(answers).mount(&self.0).await;
        bodies.remove(0)
    }
}

struct Answers {
    answers: Vec<String>,
    given: AtomicUsize,
}

impl Respond for Answers {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let at = self.given.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        ResponseTemplate::new(200).set_body_raw(self.answers[at].as_str(), "text/event-stream")
    }
}

/// A whole stream that says this and stops.
pub fn says(text: &str) -> String {
    stream(json!({"role": "assistant", "content": text}), "stop", None)
}

/// A whole stream that calls one tool.
pub fn calls(name: &str, arguments: &str) -> String {
    stream(call(name, arguments), "tool_calls", None)
}

pub fn call(name: &str, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"tool_calls": [{"index": 0, "id": "theirs", "type": "function", "function": function}]})
}

pub fn stream(delta: Value, finish: &str, usage: Option<Value>) -> String {
    let chunk =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let usage = usage.map(|usage| json!({"choices": [], "usage": usage}));
    let chunks = [Some(chunk(delta, Value::Null)), Some(chunk(json!({}), finish.into())), usage];
    let lines: String = chunks.into_iter().flatten().map(|chunk| format!("data: {chunk}\n\n")).collect();
    format!("{lines}data: [DONE]\n\n")
}
