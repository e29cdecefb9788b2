//! Answers that must have a form: what reaches the upstream, and when the text reaches the client.

use crate::client::{Client, stream, text};
use crate::support::Daemon;
use crate::upstream::{Act, Server, accepted, data, delta, end, finishes, says, turn};
use crate::{Settings, ask, daemon, with};
use serde_json::{Value, json};

fn city() -> Value {
    let schema = json!({"type": "object", "required": ["name"]});
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": true}}})
}

/// The daemon on an upstream that does this about a format.
fn on(upstream: &Server, structured_output: &str) -> Daemon {
    let settings = Settings { upstream: &format!("structured_output: {structured_output}"), ..Settings::default() };
    daemon(upstream, &settings)
}

fn thinks(words: &str) -> Act {
    delta(&json!({"reasoning_content": words}).to_string())
}

/// An answer that goes on once the test says so.
fn in_two_parts(first: &str, second: &str) -> Vec<Act> {
    vec![accepted(), says(first), thinks("Hm."), Act::Wait, says(second), finishes("stop"), data("[DONE]"), end()]
}

#[tokio::test]
async fn text_streams_as_it_comes_where_the_upstream_enforces_the_form() {
    for (second, last) in [("1}", "\"finish_reason\":\"stop\""), ("1", "\"code\":\"invalid_output_format\"")] {
        let upstream = Server::start(vec![in_two_parts(r#"{\"name\":"#, second)]).await;
        let daemon = on(&upstream, "enforced");
        let mut client = Client::post(&daemon, &with(ask("Go"), city())).await;
        assert_eq!(client.head().await.status, 200);
        client.frame_with(r#""content":"{\"name\":""#).await;
        upstream.go();
        let rest = client.rest().await;
        assert!(rest.iter().any(|frame| frame.contains(last)), "{rest:?}");
        // What was shown cannot be unsaid, so no other answer is asked for.
        assert_eq!(upstream.count(), 1);
        assert_eq!(upstream.requests()[0].body["response_format"], city()["response_format"]);
    }
}

#[tokio::test]
async fn text_is_held_where_it_does_not_and_everything_else_streams() {
    for support in ["auto", "passed", "prompted"] {
        let upstream = Server::start(vec![in_two_parts(r#"{\"name\":"#, "1}")]).await;
        let daemon = on(&upstream, support);
        let mut client = Client::post(&daemon, &with(ask("Go"), city())).await;
        assert_eq!(client.head().await.status, 200);
        let mut frames = Vec::new();
        while !frames.last().is_some_and(|frame: &String| frame.contains("Hm.")) {
            frames.push(client.frame().await.unwrap());
        }
        assert_eq!(text(&frames), "", "{support}");
        upstream.go();
        let rest = client.rest().await;
        assert_eq!((text(&rest).as_str(), upstream.count()), (r#"{"name":1}"#, 1), "{support}");
    }
}

#[tokio::test]
async fn an_upstream_that_knows_no_formats_is_told_in_words() {
    let upstream = Server::start(vec![turn([says(r#"{\"name\":1}"#)], "stop")]).await;
    let daemon = on(&upstream, "prompted");
    let body = with(ask("Go"), city());
    let system = json!({"role": "system", "content": "Be brief."});
    let body = with(body, json!({"messages": [system, {"role": "user", "content": "Go"}]}));
    assert_eq!(text(&stream(&daemon, &body).await), r#"{"name":1}"#);
    let asked = upstream.requests().remove(0).body;
    let words = "Your final answer must be JSON that fits the schema `city` and nothing else: no code fence, no words \
        before or after it.\n\n{\"type\":\"object\",\"required\":[\"name\"]}\n\nBe brief.";
    assert_eq!((asked.get("response_format"), &asked["messages"][0]["content"]), (None, &json!(words)));
}

/// Nothing of a client that has left is asked for again.
#[tokio::test]
async fn a_client_that_leaves_while_its_answer_is_held_ends_the_run() {
    let upstream = Server::start(vec![vec![accepted(), says("no"), thinks("Hm."), Act::Hold]]).await;
    let daemon = on(&upstream, "passed");
    let mut client = Client::post(&daemon, &with(ask("Go"), city())).await;
    client.head().await;
    client.frame_with("Hm.").await;
    client.reset();
    upstream.hung_up(0).await;
    assert_eq!(upstream.count(), 1);
}
