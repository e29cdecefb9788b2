//! Many at once in one conversation: one after the other, in the order in which they came.

use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

fn ask(conversation: &str, input: &str) -> Value {
    json!({"model": "nuncio", "input": input, "conversation": conversation})
}

fn in_background(conversation: &str, input: &str) -> Value {
    let mut body = ask(conversation, input);
    body["background"] = json!(true);
    body
}

async fn cancel(daemon: &Daemon, id: &str) -> (u16, Value) {
    answer(client().post(daemon.url(&format!("/v1/responses/{id}/cancel")))).await
}

/// Takes a turn that does not end until it is cancelled, and gives its id.
async fn hold(daemon: &Daemon, conversation: &str) -> String {
    let (_, held) = post(daemon, &in_background(conversation, "say: Held\nstall")).await;
    let id = held["id"].as_str().unwrap().to_owned();
    until(daemon, &id, |response| text(response) == "Held").await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_turn_is_lost_however_many_there_are() {
    let daemon = Arc::new(Daemon::rehearsing());
    let mut asked = JoinSet::new();
    for number in 0..32 {
        let daemon = Arc::clone(&daemon);
        asked.spawn(async move {
            let body = ask("crowd", &format!("wait: 5ms\nsay: {number}"));
            match number % 4 {
                0 => stream(&daemon, body).await.pop().unwrap()["response"].clone(),
                1 => {
                    let (_, queued) =
                        post(&daemon, &in_background("crowd", &format!("wait: 5ms\nsay: {number}"))).await;
                    until_status(&daemon, queued["id"].as_str().unwrap(), "completed").await
                }
                _ => post(&daemon, &body).await.1,
            }
        });
    }
    while let Some(response) = asked.join_next().await {
        let response = response.unwrap();
        assert_eq!(response["status"], "completed", "{response}");
    }
    let told = told(&daemon, &id_of(&daemon, "crowd").await).await;
    let turns = told.chunks(2).map(|turn| {
        assert_eq!(turn[0], format!("wait: 5ms\nsay: {}", turn[1]), "turns are mixed: {told:?}");
        turn[1].parse().unwrap()
    });
    assert_eq!((told.len(), turns.collect::<BTreeSet<u32>>()), (64, (0..32).collect()));
    // One after the other means that each had all before it.
    let last = say(&daemon, "crowd", "echo: messages").await;
    assert_eq!(history(&last).as_array().unwrap().len(), 65);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_has_an_end_and_who_comes_then_is_sent_away() {
    let daemon = Arc::new(Daemon::rehearsing());
    let held = hold(&daemon, "busy").await;
    let mut asked = JoinSet::new();
    for number in 0..65 {
        let daemon = Arc::clone(&daemon);
        asked.spawn(async move {
            let request = client().post(daemon.url("/v1/responses")).json(&ask("busy", &format!("say: {number}")));
            let response = request.send().await.unwrap();
            let retry_after = response.headers().get("retry-after").is_some();
            (response.status().as_u16(), retry_after, response.json::<Value>().await.unwrap())
        });
    }
    // All the others wait.
    let (status, retry_after, body) = asked.join_next().await.unwrap().unwrap();
    assert_eq!(error((status, body)), (409, "conversation_busy".into(), "conversation".into()));
    assert!(retry_after);
    let id = id_of(&daemon, "busy").await;
    let items = json!({"items": [{"role": "user", "content": "x"}]});
    assert_eq!(error(send(&daemon, &format!("/{id}/items"), &items).await).1, "conversation_busy");
    assert_eq!(say(&daemon, "another", "say: Free").await["status"], "completed");
    assert_eq!(cancel(&daemon, &held).await.0, 200);
    while let Some(answered) = asked.join_next().await {
        assert_eq!(answered.unwrap().0, 200);
    }
    assert_eq!(told(&daemon, &id).await[..2], ["say: Held\nstall", "Held"]);
}

#[tokio::test]
async fn one_in_the_background_is_queued_and_may_be_cancelled_while_it_waits() {
    let daemon = Daemon::rehearsing();
    let held = hold(&daemon, "c").await;
    let mut queued = Vec::new();
    for number in 0..3 {
        let (status, response) = post(&daemon, &in_background("c", &format!("say: {number}"))).await;
        assert_eq!((status, &response["status"]), (200, &json!("queued")));
        queued.push(response["id"].as_str().unwrap().to_owned());
    }
    let (_, cancelled) = cancel(&daemon, &queued[1]).await;
    assert_eq!((&cancelled["status"], &cancelled["output"]), (&json!("cancelled"), &json!([])));
    let path = |id: &str| daemon.url(&format!("/v1/responses/{id}"));
    assert_eq!(answer(client().get(path(&queued[1]))).await, (200, cancelled));
    let waiting = answer(client().get(path(&queued[2]))).await.1;
    assert_eq!(
        (&waiting["status"], &waiting["conversation"]),
        (&json!("queued"), &json!({"id": id_of(&daemon, "c").await}))
    );
    cancel(&daemon, &held).await;
    for id in [&queued[0], &queued[2]] {
        until_status(&daemon, id, "completed").await;
    }
    let id = id_of(&daemon, "c").await;
    assert_eq!(told(&daemon, &id).await, ["say: Held\nstall", "Held", "say: 0", "0", "say: 2", "2"]);
    // What turns out to be wrong only then is told in the response.
    let held = hold(&daemon, "c").await;
    let output = json!([{"type": "function_call_output", "call_id": "x", "output": "y"}]);
    let mut wrong = in_background("c", "");
    wrong["input"] = output;
    let (status, wrong) = post(&daemon, &wrong).await;
    let mut misshapen = in_background("c", "say: {}");
    misshapen["text"] = json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": 7}}});
    let (_, misshapen) = post(&daemon, &misshapen).await;
    let (_, late) = post(&daemon, &in_background("c", "say: Late")).await;
    assert_eq!((status, &wrong["status"]), (200, &json!("queued")));
    cancel(&daemon, &held).await;
    let failed = until_status(&daemon, wrong["id"].as_str().unwrap(), "failed").await;
    assert_eq!(failed["error"]["code"], "invalid_prompt");
    let failed = until_status(&daemon, misshapen["id"].as_str().unwrap(), "failed").await;
    assert!(
        failed["error"]["message"].as_str().unwrap().starts_with("`text.format.schema` cannot be used"),
        "{failed}"
    );
    until_status(&daemon, late["id"].as_str().unwrap(), "completed").await;
    // At once, where nobody is before it.
    assert_eq!(
        post(
            &daemon,
            &json!({"model": "nuncio", "background": true, "conversation": "c", "input":
        [{"type": "function_call_output", "call_id": "x", "output": "y"}]})
        )
        .await
        .0,
        400
    );
    // And what it waited for may be gone.
    let held = hold(&daemon, "c").await;
    let (_, orphan) = post(&daemon, &in_background("c", "say: Who")).await;
    delete(&daemon, &format!("/{id}")).await;
    cancel(&daemon, &held).await;
    let failed = until_status(&daemon, orphan["id"].as_str().unwrap(), "failed").await;
    assert!(failed["error"]["message"].as_str().unwrap().contains("no conversation with this id"), "{failed}");
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_its_place() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{header_wait: 50ms}}\n"));
    let held = hold(&daemon, "c").await;
    let mut waiting = JoinSet::new();
    waiting.spawn(client().post(daemon.url("/v1/responses")).json(&ask("c", "say: Left")).send());
    // The stream is open while it waits, and may be left as well.
    let mut streamed = ask("c", "say: Streamed");
    streamed["stream"] = json!(true);
    let mut stream = client().post(daemon.url("/v1/responses")).json(&streamed).send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(stream.status() == 200 && first.starts_with("event: response.created\n"), "{first}");
    let id = first.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    waiting.shutdown().await;
    drop(stream);
    let left = until_status(&daemon, id, "incomplete").await;
    assert_eq!(left["incomplete_details"]["detail"], "disconnected");
    let (_, next) = post(&daemon, &in_background("c", "say: Next")).await;
    cancel(&daemon, &held).await;
    until_status(&daemon, next["id"].as_str().unwrap(), "completed").await;
    assert_eq!(told(&daemon, &id_of(&daemon, "c").await).await, ["say: Held\nstall", "Held", "say: Next", "Next"]);
}

#[tokio::test]
async fn a_stream_that_has_waited_goes_on_and_a_branch_does_not_wait() {
    let daemon = Daemon::with(&format!("{REHEARSAL}server: {{header_wait: 50ms}}\n"));
    let first = say(&daemon, "c", "say: One").await;
    let held = hold(&daemon, "c").await;
    let waiting = stream(&daemon, ask("c", "echo: messages"));
    let rest = async {
        // Not in the conversation, so not in its line.
        let branch = json!({"model": "nuncio", "input": "echo: messages", "previous_response_id": first["id"]});
        assert_eq!(history(&post(&daemon, &branch).await.1).as_array().unwrap().len(), 3);
        cancel(&daemon, &held).await
    };
    let (events, cancelled) = tokio::join!(waiting, rest);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[..2].to_vec(), cancelled.0), (vec!["response.created", "response.in_progress"], 200));
    assert_eq!(
        roles(&history(&events.last().unwrap()["response"])),
        ["user", "assistant", "user", "assistant", "user"]
    );
}
