//! Answers that must have a form: the same on both APIs, streamed and not.

use crate::recorder::{Recorder, says};
use crate::support::{Daemon, REHEARSAL, client};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Api {
    Chat,
    Responses,
}

/// The ways to ask.
const WAYS: [(Api, bool); 4] = [(Api::Chat, false), (Api::Chat, true), (Api::Responses, false), (Api::Responses, true)];

/// What a client makes of an answer.
#[derive(Debug, Default, PartialEq)]
struct Told {
    status: u16,
    /// The text of each message.
    texts: Vec<String>,
    reasoning: String,
    refusal: String,
    /// The finish reason, or the status of the response.
    end: String,
    /// Code and message.
    error: Option<(String, String)>,
}

fn object() -> Value {
    json!({"type": "json_object"})
}

fn city() -> Value {
    let schema = json!({
        "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": false,
    });
    json!({"type": "json_schema", "name": "city", "schema": schema, "strict": true})
}

/// A Responses format as chat has it.
fn nested(format: &Value) -> Value {
    let mut schema = format.clone();
    match schema.as_object_mut().unwrap().remove("type").unwrap() {
        kind if kind == "json_schema" => json!({"type": kind, "json_schema": schema}),
        kind => json!({"type": kind}),
    }
}

impl Api {
    fn body(self, question: &str, format: &Value) -> Value {
        match self {
            Self::Chat => json!({
                "model": "nuncio", "messages": [{"role": "user", "content": question}], "response_format": nested(format),
            }),
            Self::Responses => json!({"model": "nuncio", "input": question, "text": {"format": format}}),
        }
    }

    async fn ask(self, daemon: &Daemon, mut body: Value, stream: bool) -> Told {
        body["stream"] = json!(stream);
        let path = if self == Self::Chat { "/v1/chat/completions" } else { "/v1/responses" };
        let response = client().post(daemon.url(path)).json(&body).send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        let told = match (self, stream && status == 200) {
            (Self::Chat, true) => chat_stream(&text),
            (Self::Responses, true) => last_response(&text),
            (_, false) if status != 200 => failed(&serde_json::from_str::<Value>(&text).unwrap()["error"]),
            (Self::Chat, false) => chat(&serde_json::from_str::<Value>(&text).unwrap()["choices"][0], "message"),
            (Self::Responses, false) => response_of(&serde_json::from_str(&text).unwrap()),
        };
        Told { status, ..told }
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn failed(error: &Value) -> Told {
    Told { error: Some((string(&error["code"]), string(&error["message"]))), ..Told::default() }
}

fn chat(choice: &Value, of: &str) -> Told {
    let part = |key: &str| string(&choice[of][key]);
    let texts = [part("content")].into_iter().filter(|text| !text.is_empty()).collect();
    let (reasoning, refusal, end) = (part("reasoning_content"), part("refusal"), string(&choice["finish_reason"]));
    Told { texts, reasoning, refusal, end, ..Told::default() }
}

fn chat_stream(text: &str) -> Told {
    let mut told = Told::default();
    for data in text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: {")) {
        let chunk: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
        if chunk["error"].is_object() {
            return Told { error: failed(&chunk["error"]).error, ..told };
        }
        let piece = chat(&chunk["choices"][0], "delta");
        let text = told.texts.concat() + &piece.texts.concat();
        told.texts = if text.is_empty() { Vec::new() } else { vec![text] };
        told.reasoning += &piece.reasoning;
        told.refusal += &piece.refusal;
        told.end += &piece.end;
    }
    told
}

fn last_response(text: &str) -> Told {
    let last = text.strip_suffix("\n\ndata: [DONE]\n\n").unwrap().rsplit("\ndata: ").next().unwrap();
    response_of(&serde_json::from_str::<Value>(last).unwrap()["response"])
}

fn response_of(response: &Value) -> Told {
    let texts_of = |kind: &str, key: &str| {
        let parts =
            response["output"].as_array().unwrap().iter().filter_map(|item| item["content"].as_array()).flatten();
        parts.filter(|part| part["type"] == kind).map(|part| string(&part[key])).collect::<Vec<_>>()
    };
    Told {
        texts: texts_of("output_text", "text"),
        reasoning: texts_of("reasoning_text", "text").join("\n\n"),
        refusal: texts_of("refusal", "refusal").concat(),
        end: string(&response["status"]),
        error: failed(&response["error"]).error.filter(|_| !response["error"].is_null()),
        ..Told::default()
    }
}

/// What all four ways are told, the end of a whole answer apart.
async fn all_told(daemon: &Daemon, script: &str, format: &Value) -> Told {
    let mut all = Vec::new();
    for (api, stream) in WAYS {
        let told = api.ask(daemon, api.body(script, format), stream).await;
        let end = if api == Api::Chat { "stop" } else { "completed" };
        assert_eq!(told.end, end, "{api:?}, stream {stream}: {told:?}");
        all.push(Told { end: String::new(), ..told });
    }
    let first = all.remove(0);
    assert!(all.iter().all(|told| *told == first), "{first:?} and {all:?}");
    first
}

#[tokio::test]
async fn an_answer_in_the_form_is_told_and_what_is_around_it_is_not() {
    let daemon = Daemon::rehearsing();
    let bonn = r#"{"name": "Bonn"}"#;
    let cases = [
        (format!("say: {bonn}"), city()),
        (format!("say: {bonn}"), object()),
        (format!("say: ```json\n| {bonn}\n| ```"), city()),
        (format!("say: The city is Bonn.\nmend: {bonn}"), city()),
        (format!("say: {{\"town\": \"Bonn\"}}\nmend: {bonn}"), city()),
        (format!("say: [{bonn}]\nmend: {bonn}"), object()),
    ];
    for (script, format) in cases {
        let expected = Told { status: 200, texts: vec![bonn.to_owned()], ..Told::default() };
        assert_eq!(all_told(&daemon, &script, &format).await, expected, "{script}");
    }
}

#[tokio::test]
async fn what_is_said_beside_calls_is_no_part_of_the_answer() {
    let daemon = Daemon::rehearsing();
    let script = "think: Hm.\nsay: I look.\nrun: echo one\nthen\nsay: {\"name\": \"Bonn\"}";
    let expected = Told {
        status: 200,
        texts: vec![r#"{"name": "Bonn"}"#.to_owned()],
        reasoning: "Hm.\n\nI look.".to_owned(),
        ..Told::default()
    };
    assert_eq!(all_told(&daemon, script, &city()).await, expected);
}

#[tokio::test]
async fn a_refusal_is_no_answer_and_needs_no_form() {
    let expected = Told { status: 200, refusal: "I will not.".to_owned(), ..Told::default() };
    assert_eq!(all_told(&Daemon::rehearsing(), "refuse: I will not.", &city()).await, expected);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_told_as_far_as_it_goes() {
    let daemon = Daemon::rehearsing();
    for (api, stream) in WAYS {
        let (field, end) =
            if api == Api::Chat { ("max_tokens", "length") } else { ("max_output_tokens", "incomplete") };
        // Each word is a token, and fewer than 16 may not be asked for.
        let name = "Bonn ".repeat(20);
        let mut body = api.body(&format!("say: {{\"name\": \"{name}am Rhein\"}}"), &city());
        body[field] = json!(16);
        let texts = vec![format!("{{\"name\": \"{}", "Bonn ".repeat(15))];
        let expected = Told { status: 200, texts, end: end.to_owned(), ..Told::default() };
        assert_eq!(api.ask(&daemon, body, stream).await, expected, "{api:?}, stream {stream}");
    }
}

#[tokio::test]
async fn an_answer_that_stays_wrong_fails_the_run_and_is_never_told() {
    let daemon = Daemon::rehearsing();
    let message = "The model's answer does not have the form that was asked for, nor had the one it gave instead: \
        it does not fit the schema:\n- \"name\" is a required property";
    for (api, stream) in WAYS {
        let told = api.ask(&daemon, api.body("say: {}", &city()), stream).await;
        let (status, code, end) = match (api, stream) {
            (_, false) => (502, "invalid_output_format", ""),
            (Api::Chat, true) => (200, "invalid_output_format", ""),
            (Api::Responses, true) => (200, "server_error", "failed"),
        };
        let error = Some((code.to_owned(), message.to_owned()));
        let expected = Told { status, error, end: end.to_owned(), ..Told::default() };
        assert_eq!(told, expected, "{api:?}, stream {stream}");
        // Nobody may be led to repeat what has changed something.
        let told = api.ask(&daemon, api.body("run: touch it\nthen\nsay: {}", &city()), stream).await;
        assert_eq!(told.error.unwrap().0, "invalid_prompt", "{api:?}, stream {stream}");
    }
}

#[tokio::test]
async fn a_profile_can_ask_for_a_form_and_a_request_for_another() {
    let chat = nested(&city());
    let daemon = Daemon::with(&format!("{REHEARSAL}profiles: {{nuncio: {{sampling: {{response_format: {chat}}}}}}}\n"));
    let wrong = Told { status: 200, texts: vec!["{}".to_owned()], ..Told::default() };
    for (api, stream) in WAYS {
        let mut body = api.body("say: {}", &object());
        body.as_object_mut().unwrap().retain(|key, _| !["text", "response_format"].contains(&key.as_str()));
        assert!(api.ask(&daemon, body, stream).await.error.is_some(), "{api:?}, stream {stream}");
    }
    assert_eq!(all_told(&daemon, "say: {}", &object()).await, wrong);
    assert_eq!(all_told(&daemon, "say: {}", &json!({"type": "text"})).await, wrong);
    // A title is none of what the profile is for.
    let title = json!({"model": "nuncio", "messages": [{"role": "user", "content": "### Task:\nA title."}]});
    for title in [title, Api::Chat.body("### Task:\nA title.", &object())] {
        let told = Api::Chat.ask(&daemon, title, false).await;
        assert_eq!((told.status, told.texts), (200, vec![r#"{"title": "Rehearsal"}"#.to_owned()]));
    }
    let asked = json!({"model": "nuncio", "input": "say: {\"name\": \"Bonn\"}"});
    let response = client().post(daemon.url("/v1/responses")).json(&asked).send().await.unwrap();
    let mut echo = city();
    echo["description"] = Value::Null;
    assert_eq!(response.json::<Value>().await.unwrap()["text"], json!({"format": echo}));
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_refused_before_the_model_is_asked() {
    let upstream = Recorder::answering(vec![says("{}")]).await;
    let daemon = Daemon::with(&upstream.yaml("{}"));
    let remote = json!({"type": "json_schema", "name": "n", "schema": {"$ref": "http://127.0.0.1:9/x"}});
    for (api, stream) in WAYS {
        let path = if api == Api::Chat { "response_format.json_schema.schema" } else { "text.format.schema" };
        let message = format!(
            "`{path}` cannot be used: it refers to http://127.0.0.1:9/x, and a reference may only name a place in it, as #/$defs/name does."
        );
        let told = api.ask(&daemon, api.body("Hello", &remote), stream).await;
        let expected = Told { status: 400, error: Some((String::new(), message)), ..Told::default() };
        assert_eq!(told, expected, "{api:?}, stream {stream}");
    }
    assert_eq!(upstream.requests().await.len(), 0);
}
