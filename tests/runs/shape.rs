//! The shape of whole streams, to the byte.

use crate::client::{answer, stream};
use crate::support::Daemon;
use crate::upstream::{Act, Server, accepted, calls, data, delta, end, finishes, says, turn, usage, whole};
use crate::{Settings, ask, daemon, with};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A whole stream, and what differs from one such stream to the next.
struct Shape {
    text: String,
    run: String,
    created: String,
    /// The ids of the calls in it.
    calls: Vec<String>,
}

impl Shape {
    async fn of(daemon: &Daemon, body: &Value) -> Self {
        let frames = stream(daemon, body).await;
        let chunks: Vec<Value> =
            frames.iter().filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok()).collect();
        let ids = chunks.iter().flat_map(|chunk| {
            [&chunk["choices"][0]["delta"]["tool_calls"][0]["id"], &chunk["item"]["call_id"]].map(Value::as_str)
        });
        let mut calls: Vec<String> = ids.flatten().map(str::to_owned).collect();
        calls.dedup();
        Self {
            text: frames.concat(),
            run: chunks[0]["id"].as_str().unwrap().trim_start_matches("chatcmpl-").to_owned(),
            created: format!("\"created\":{}", chunks[0]["created"]),
            calls,
        }
    }

    /// `text` with this stream's ids and time put out of the way.
    fn redact(&self, text: &str) -> String {
        let text = text.replace(&self.run, "RUN").replace(&self.created, "\"created\":NOW");
        self.calls.iter().enumerate().fold(text, |text, (number, id)| text.replace(id, &format!("CALL{number}")))
    }

    /// The messages that the upstream got with a request, in which this stream's ids may stand.
    fn messages(&self, upstream: &Server, number: usize) -> String {
        self.redact(&serde_json::to_string_pretty(&upstream.requests()[number].body["messages"]).unwrap())
    }

    /// The conversation after this stream ended with a call of `get_weather`, the result included.
    fn with_weather(&self, said: &str) -> Value {
        let id = &self.calls[0];
        let function = json!({"name": "get_weather", "arguments": "{\"city\":\"Oslo\"}"});
        json!({"messages": [
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": said, "tool_calls": [{"id": id, "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": id, "content": "snow"},
        ]})
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redact(&self.text))
    }
}

/// The stream that this upstream leads to.
async fn shape_of(scripts: Vec<Vec<Act>>, profile: &str, fields: Value) -> (Shape, Server) {
    let upstream = Server::start(scripts).await;
    let daemon = daemon(&upstream, &Settings { profile, ..Settings::default() });
    (Shape::of(&daemon, &with(ask("Go"), fields)).await, upstream)
}

fn thinks(words: &str) -> Act {
    delta(&json!({"reasoning_content": words}).to_string())
}

fn runs(index: usize, id: &str, command: &str) -> Act {
    calls(index, id, "terminal", &json!({"command": command}))
}

fn client_tool() -> Value {
    let weather = json!({"name": "get_weather", "parameters": {"type": "object"}});
    json!({"tools": [{"type": "function", "function": weather}]})
}

#[tokio::test]
async fn of_a_text() {
    let script = turn([says("Hello"), says(", you.")], "stop");
    assert_snapshot!(shape_of(vec![script], "", json!({})).await.0);
}

#[tokio::test]
async fn of_reasoning_and_text_and_what_it_cost() {
    let script = turn([thinks("Hm"), thinks("."), says("Yes."), usage(5, 3)], "stop");
    assert_snapshot!(shape_of(vec![script], "", json!({"stream_options": {"include_usage": true}})).await.0);
}

#[tokio::test]
async fn of_usage_that_was_not_asked_for() {
    let script = turn([says("Yes."), usage(5, 3)], "stop");
    for fields in [json!({}), json!({"stream_options": {"include_usage": false}}), json!({"stream_options": null})] {
        let (shape, _) = shape_of(vec![script.clone()], "", fields).await;
        assert!(!shape.text.contains("usage"), "{shape}");
    }
}

#[tokio::test]
async fn of_a_refusal_and_of_answers_cut_short() {
    let refuses = delta(r#"{"refusal":"I won't."}"#);
    assert_snapshot!("refusal", shape_of(vec![turn([refuses], "stop")], "", json!({})).await.0);
    for reason in ["length", "content_filter"] {
        assert_snapshot!(reason, shape_of(vec![turn([says("Once upon")], reason)], "", json!({})).await.0);
    }
}

fn two_tools_and_words() -> Vec<Vec<Act>> {
    let step =
        [says("Two things."), runs(0, "c1", "sleep 0.5; echo one"), runs(1, "c2", "echo two; exit 3"), usage(10, 4)];
    vec![turn(step, "tool_calls"), turn([says("Both done."), usage(20, 2)], "stop")]
}

#[tokio::test]
async fn of_two_server_tools_at_once_between_words() {
    let (shape, upstream) =
        shape_of(two_tools_and_words(), "", json!({"stream_options": {"include_usage": true}})).await;
    assert_snapshot!(shape);
    assert_snapshot!("what_the_model_gets_back", shape.messages(&upstream, 1));
}

#[tokio::test]
async fn of_hidden_activity() {
    let (shape, _) = shape_of(two_tools_and_words(), "tool_activity: hidden", json!({})).await;
    assert_snapshot!(shape);
}

#[tokio::test]
async fn of_a_client_tool_and_of_its_follow_up() {
    let fragments = [
        delta(r#"{"tool_calls":[{"index":0,"id":"w1","function":{"name":"get_weather","arguments":""}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]}"#),
    ];
    let first = turn([says("I ask.")].into_iter().chain(fragments), "tool_calls");
    let upstream = Server::start(vec![first, turn([says("It snows.")], "stop")]).await;
    let daemon = daemon(&upstream, &Settings::default());
    let asked = with(ask("Go"), client_tool());
    let shape = Shape::of(&daemon, &asked).await;
    assert_snapshot!("client_tool", shape);
    let follow_up = with(asked, shape.with_weather("I ask."));
    assert_snapshot!("client_tool_follow_up", Shape::of(&daemon, &follow_up).await);
}

/// The server runs its tool, the client gets its own; what comes back goes to the model with the server's part.
#[tokio::test]
async fn of_a_server_tool_and_a_client_tool_in_one_step() {
    let call = calls(1, "w1", "get_weather", &json!({"city": "Oslo"}));
    let first = turn([says("Both."), runs(0, "c1", "echo one"), call], "tool_calls");
    let upstream = Server::start(vec![first, turn([says("Done.")], "stop")]).await;
    let daemon = daemon(&upstream, &Settings::default());
    let asked = with(ask("Go"), client_tool());
    let shape = Shape::of(&daemon, &asked).await;
    assert_snapshot!("both_tools", shape);
    stream(&daemon, &with(asked, shape.with_weather("Both."))).await;
    assert_snapshot!("what_the_model_gets_back_of_both", shape.messages(&upstream, 1));
}

#[tokio::test]
async fn of_a_failure_after_the_headers() {
    let script = vec![accepted(), says("Once"), data(r#"{"error":{"message":"overloaded","code":503}}"#), end()];
    assert_snapshot!(shape_of(vec![script], "", json!({})).await.0);
}

#[tokio::test]
async fn of_a_failure_after_a_tool_with_effects() {
    let scripts = || {
        let fails = whole("500 Internal Server Error", "", r#"{"error":{"message":"broken"}}"#);
        vec![turn([runs(0, "c1", "echo one")], "tool_calls"), fails]
    };
    let settings = Settings { upstream: "max_retries: 0", ..Settings::default() };
    let upstream = Server::start(scripts()).await;
    assert_snapshot!("failure_after_effects", Shape::of(&daemon(&upstream, &settings), &ask("Go")).await);
    let upstream = Server::start(scripts()).await;
    let (head, body) = answer(&daemon(&upstream, &settings), &with(ask("Go"), json!({"stream": false}))).await;
    assert_snapshot!("failure_after_effects_without_stream", format!("{} {body}", head.status));
    assert_eq!(head.get("x-should-retry"), Some("false"));
}

#[tokio::test]
async fn of_the_step_limit() {
    let steps = [turn([says("One."), runs(0, "c1", "echo one")], "tool_calls"), turn([says("So far.")], "stop")];
    let (shape, upstream) = shape_of(steps.into(), "limits: {steps: 1}", json!({})).await;
    assert_snapshot!("step_limit", shape);
    let tools = |number: usize| upstream.requests()[number].body.get("tools").is_some();
    assert_eq!([tools(0), tools(1)], [true, false]);
}

#[tokio::test]
async fn of_the_wall_time_limit() {
    let steps = [turn([says("One."), runs(0, "c1", "sleep 100")], "tool_calls"), turn([says("So far.")], "stop")];
    let (shape, upstream) = shape_of(steps.into(), "limits: {wall_time: 1s}", json!({})).await;
    assert_snapshot!("wall_time_limit_in_a_tool", shape);
    assert!(upstream.requests()[1].body.get("tools").is_none());

    let script = vec![accepted(), says("Once upon"), Act::Hold];
    let (shape, upstream) = shape_of(vec![script], "limits: {wall_time: 1s}", json!({})).await;
    assert_snapshot!("wall_time_limit_in_a_text", shape);
    assert_eq!(upstream.count(), 1);
    upstream.hung_up(0).await;
}

#[tokio::test]
async fn of_calls_that_come_to_nothing() {
    let broken =
        delta(r#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"terminal","arguments":"{\"comm"}}]}"#);
    let calls = [
        broken,
        calls(1, "c2", "no_such_tool", &json!({})),
        calls(2, "c3", "terminal", &json!({"command": 7})),
        delta(r#"{"tool_calls":[{"index":3,"function":{"name":"read_file","arguments":""}}]}"#),
    ];
    let (shape, _) = shape_of(vec![turn(calls, "tool_calls"), turn([finishes("stop")], "stop")], "", json!({})).await;
    assert_snapshot!(shape);
}

/// The first answer and what was wrong with it are for the model alone; what both cost is for the client too.
#[tokio::test]
async fn of_an_answer_that_was_mended() {
    let step = [says("I look."), runs(0, "c1", "echo one"), usage(10, 4)];
    let bad = [thinks("Hm."), says("The city "), says("is Bonn."), usage(20, 6)];
    let good = [says("```json\\n{\\\"name\\\": "), says("\\\"Bonn\\\"}\\n```"), usage(40, 8)];
    let scripts = vec![turn(step, "tool_calls"), turn(bad, "stop"), turn(good, "stop")];
    let schema = json!({"type": "object", "required": ["name"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "city", "schema": schema}});
    let asked = json!({"response_format": format, "stream_options": {"include_usage": true}});
    let (shape, upstream) = shape_of(scripts, "", asked).await;
    assert_snapshot!("mended_answer", shape);
    assert_snapshot!("what_the_model_is_asked_to_mend", shape.messages(&upstream, 2));
    let sent: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| (request.body["response_format"] == format, request.body.get("tools").is_some()))
        .collect();
    assert_eq!(sent, [(true, true), (true, true), (true, false)]);
}
