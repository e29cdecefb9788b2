//! Responses whose client leaves: what becomes of them is the request's or the profile's to say.

use super::*;

const POLICY: &str = "X-Nuncio-On-Disconnect";

fn slow() -> Value {
    json!({"model": "nuncio", "input": "say: Begun\nwait: 500ms\nsay: Done"})
}

/// Begins the response, leaves it, and gives its id.
async fn left(daemon: &Daemon, headers: &[(&str, &str)]) -> String {
    begin(daemon, slow(), headers, "\"delta\":\"Begun\"").await.0
}

#[tokio::test]
async fn a_detached_response_goes_on_to_its_end() {
    let daemon = Daemon::rehearsing();
    let id = left(&daemon, &[(POLICY, "detach")]).await;
    let done = until(&daemon, &id, |response| response["status"] != "in_progress").await;
    assert_eq!((&done["status"], text(&done).as_str()), (&json!("completed"), "Begun\nDone"));
}

#[tokio::test]
async fn a_grace_is_time_to_come_back_in() {
    let daemon = Daemon::rehearsing();
    let mut endless = slow();
    endless["input"] = json!("say: Begun\nstall");
    let (id, stream) = begin(&daemon, endless, &[(POLICY, "grace=1")], "\"delta\":\"Begun\"").await;
    drop(stream);
    let gone = until_status(&daemon, &id, "incomplete").await;
    assert_eq!(gone["incomplete_details"], json!({"reason": "max_output_tokens", "detail": "disconnected"}));
    let id = left(&daemon, &[(POLICY, "grace=30")]).await;
    let events = events(client().get(daemon.url(&format!("/v1/responses/{id}?stream=true")))).await;
    assert_eq!(events.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn the_profile_says_what_holds_unless_the_request_does() {
    let profiles = "profiles: {nuncio: {on_disconnect: detach, inherit_instructions: true}}\n";
    let daemon = Daemon::with(&format!("{REHEARSAL}{profiles}"));
    let id = left(&daemon, &[]).await;
    until_status(&daemon, &id, "completed").await;
    let id = left(&daemon, &[(POLICY, "cancel")]).await;
    until_status(&daemon, &id, "incomplete").await;
    for value in ["", "no", "grace", "grace=0", "grace=4000"] {
        for (path, body) in [
            ("/v1/responses", slow()),
            ("/v1/chat/completions", json!({"model": "nuncio", "messages": [{"role": "user", "content": "x"}]})),
        ] {
            let (status, body) = answer(client().post(daemon.url(path)).header(POLICY, value).json(&body)).await;
            assert_eq!((status, &body["error"]["param"]), (400, &json!(POLICY)), "{value}: {body}");
        }
    }
    // Hermes' rule, where the profile asks for it.
    let ask = async |input: &str, previous: &Value, instructions: Option<&str>| {
        let body =
            json!({"model": "nuncio", "input": input, "previous_response_id": previous, "instructions": instructions});
        post(&daemon, &body).await.1
    };
    let first = ask("say: Hello", &Value::Null, Some("be brief")).await;
    let second = ask("echo: system", &first["id"], None).await;
    let third = ask("echo: system", &second["id"], None).await;
    let fourth = ask("echo: system", &third["id"], Some("be long")).await;
    assert_eq!([&second, &third, &fourth].map(text), ["be brief", "be brief", "be long"]);
    assert_eq!(second["instructions"], "be brief");
}
