//! Malformed requests: every one gets a 4xx in OpenAI's shape that names the field and the fix.

mod bodies;
mod fields;
mod messages;
mod routes;
mod tools;

use crate::raw::{Answer, ask, ask_and_stop, local};
use crate::support::Daemon;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// One malformed request and what it must be told; the message itself is in the snapshot.
pub struct Case {
    name: String,
    request: Vec<u8>,
    /// The body ends before the length that the request announces.
    cut: bool,
    status: u16,
    param: Option<String>,
    code: Option<&'static str>,
}

const INVALID_TYPE: Option<&str> = Some("invalid_type");

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json";

impl Case {
    fn of(name: impl Into<String>, request: Vec<u8>, status: u16, code: Option<&'static str>) -> Self {
        Self { name: name.into(), request, cut: false, status, param: None, code }
    }

    /// A chat request with this body, refused with 400.
    fn body(name: &str, body: impl AsRef<[u8]>, code: Option<&'static str>) -> Self {
        Self::of(name, local(CHAT, body), 400, code)
    }

    fn with_param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }
}

/// A good request with some fields changed, refused with 400. `null` as the whole patch takes the field away.
fn patched(patch: Value, param: &str, code: Option<&'static str>) -> Case {
    let mut body = json!({"model": "nuncio", "messages": [{"role": "user", "content": "Hello"}]});
    let fields = body.as_object_mut().unwrap();
    fields.extend(patch.as_object().unwrap().clone());
    Case::body(&abridged(&patch.to_string()), body.to_string(), code).with_param(param)
}

/// A text with its middle left out, if it is long.
fn abridged(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    match chars.len() {
        0..=110 => text.to_owned(),
        length => chars[..30].iter().chain(['…'].iter()).chain(&chars[length - 80..]).collect(),
    }
}

/// A good request without one of its fields.
fn without(field: &str) -> Case {
    let mut body = Map::from_iter([
        ("model".to_owned(), json!("nuncio")),
        ("messages".to_owned(), json!([{"role": "user", "content": "Hello"}])),
    ]);
    body.remove(field).unwrap();
    Case::body(&format!("no {field}"), Value::from(body).to_string(), None).with_param(field)
}

fn cases() -> Vec<Case> {
    [bodies::cases(), routes::cases(), fields::cases(), messages::cases(), tools::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// What the answer says, or what is wrong with it.
fn check(case: &Case, answer: &Answer) -> Result<String, String> {
    let (status, body) = (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null));
    let headers = [("x-content-type-options", Some("nosniff")), ("referrer-policy", Some("no-referrer"))];
    let told = ["x-request-id"].into_iter().chain((status == 405).then_some("allow"));
    if headers.iter().any(|(name, value)| answer.header(name) != *value)
        || !told.into_iter().all(|name| answer.header(name).is_some())
    {
        return Err(format!("headers are missing: {:?}", answer.headers));
    }
    let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let error = &body["error"];
    if keys(&body) != ["error"] || keys(error) != ["message", "type", "param", "code"] {
        return Err(format!("not the shape of OpenAI's errors: {status} {body}"));
    }
    let expected = json!([case.status, "invalid_request_error", case.param, case.code]);
    let got = json!([status, error["type"], error["param"], error["code"]]);
    let message = error["message"].as_str().unwrap_or_default();
    if expected != got {
        return Err(format!("expected {expected}, got {got}: {message}"));
    }
    let named = case.param.as_deref().is_none_or(|param| message.contains(param));
    if !named || !(20..500).contains(&message.len()) {
        return Err(format!("the message does not name the field, or is too long: {message:.600}"));
    }
    Ok(message.to_owned())
}

#[tokio::test]
async fn every_malformed_request_is_told_what_is_wrong_with_it() {
    let daemon = Daemon::rehearsing();
    let cases = cases();
    assert!(cases.len() >= 110, "{}", cases.len());
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for case in &cases {
        let answer = match case.cut {
            true => ask_and_stop(daemon.address(), &case.request).await,
            false => ask(daemon.address(), &case.request).await,
        };
        match check(case, &answer) {
            Ok(message) => writeln!(told, "{}\n    {} {message}", case.name, case.status).unwrap(),
            Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    insta::assert_snapshot!(told);

    let good = json!({"model": "nuncio", "messages": [{"role": "user", "content": "say: still here"}]});
    let answer = ask(daemon.address(), &local(CHAT, good.to_string())).await;
    assert_eq!((answer.status, &answer.json()["choices"][0]["message"]["content"]), (200, &json!("still here")));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
