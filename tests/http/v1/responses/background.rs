//! Responses that run without a client, until they are done or cancelled.

use super::*;

fn ask(input: &str) -> Value {
    json!({"model": "nuncio", "input": input, "background": true})
}

async fn cancel(daemon: &Daemon, id: &str) -> (u16, Value) {
    answer(client().post(daemon.url(&format!("/v1/responses/{id}/cancel")))).await
}

fn id(response: &Value) -> String {
    response["id"].as_str().unwrap().to_owned()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn it_is_queued_at_once_and_can_be_watched_until_it_is_done() {
    let daemon = Daemon::rehearsing();
    let (status, queued) = post(&daemon, &ask("wait: 300ms\nsay: One\nwait: 300ms\nsay: Two")).await;
    let told = (&queued["status"], &queued["background"], &queued["output"], &queued["usage"]);
    assert_eq!((status, told), (200, (&json!("queued"), &json!(true), &json!([]), &Value::Null)));
    let half = until(&daemon, &id(&queued), |response| text(response) == "One").await;
    assert_eq!((&half["status"], &half["output"][0]["status"]), (&json!("in_progress"), &json!("in_progress")));
    let done = until_status(&daemon, &id(&queued), "completed").await;
    assert_eq!(text(&done), "One\nTwo");
    // What nobody has listened to can still be told as it was.
    let events = events(client().get(daemon.url(&format!("/v1/responses/{}?stream=true", id(&queued))))).await;
    assert_eq!(types(&events[..3]), ["response.created", "response.queued", "response.in_progress"]);
    assert_eq!((&events[0]["response"], &events.last().unwrap()["response"]), (&queued, &done));
}

#[tokio::test]
async fn its_stream_may_be_left_and_taken_up_again_while_it_runs_and_after() {
    let daemon = Daemon::rehearsing();
    let words = "\"delta\":\"3 \"";
    let (id, stream) = begin(&daemon, ask("count: 40 25ms"), &[], words).await;
    drop(stream);
    let resume = |query: &str| client().get(daemon.url(&format!("/v1/responses/{id}?stream=true{query}")));
    // While it runs, from the beginning, from a place on, and as a browser asks.
    let (whole, rest, by_header) = tokio::join!(
        events(resume("")),
        events(resume("&starting_after=9")),
        events(resume("").header("Last-Event-ID", "9")),
    );
    assert_eq!(types(&whole)[..3], ["response.created", "response.queued", "response.in_progress"]);
    let numbers: Vec<u64> = whole.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..whole.len() as u64).collect::<Vec<_>>());
    assert_eq!((&rest, &by_header), (&whole[10..].to_vec(), &rest));
    let done = until_status(&daemon, &id, "completed").await;
    assert_eq!(whole.last().unwrap()["response"], done);
    // After it.
    assert_eq!(events(resume("&starting_after=9")).await, rest);
    assert_eq!(events(resume("&starting_after=100000")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_cancel_keeps_what_was_done_and_a_second_one_changes_nothing() {
    let daemon = Daemon::rehearsing();
    let (_, queued) = post(&daemon, &ask("say: Begun\nstall")).await;
    let id = id(&queued);
    until(&daemon, &id, |response| text(response) == "Begun").await;
    let watching = client().get(daemon.url(&format!("/v1/responses/{id}?stream=true")));
    let (watched, (status, cancelled)) = tokio::join!(events(watching), cancel(&daemon, &id));
    assert_eq!((status, &cancelled["status"], text(&cancelled).as_str()), (200, &json!("cancelled"), "Begun"));
    assert_eq!((&cancelled["incomplete_details"], &cancelled["error"]), (&Value::Null, &Value::Null));
    let last = watched.last().unwrap();
    assert_eq!((&last["type"], &last["response"]), (&json!("response.incomplete"), &cancelled));
    assert_eq!(cancel(&daemon, &id).await, (200, cancelled.clone()));
    assert_eq!(get(&daemon, &id).await, (200, cancelled));
    let (_, done) = post(&daemon, &json!({"model": "nuncio", "input": "say: Hello"})).await;
    assert_eq!(cancel(&daemon, done["id"].as_str().unwrap()).await, (200, done));
    let (status, body) = cancel(&daemon, "resp_x").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("response_not_found")));
}

#[tokio::test]
async fn nothing_goes_on_from_it_while_it_runs_and_a_delete_ends_it() {
    let daemon = Daemon::rehearsing();
    let (_, queued) = post(&daemon, &ask("say: Begun\nstall")).await;
    let id = id(&queued);
    let next = json!({"model": "nuncio", "input": "say: More", "previous_response_id": id});
    let (status, body) = post(&daemon, &next).await;
    let error = (&body["error"]["code"], &body["error"]["param"]);
    assert_eq!((status, error), (400, (&json!("previous_response_in_progress"), &json!("previous_response_id"))));
    assert_eq!(delete(&daemon, &id).await.0, 200);
    assert_eq!((get(&daemon, &id).await.0, post(&daemon, &next).await.0), (404, 404));
    let (_, health) = answer(client().get(daemon.url("/health/detailed"))).await;
    assert_eq!(health["runs_in_flight"], 0);
}

#[tokio::test]
async fn a_failure_is_told_in_the_response_and_never_by_a_status() {
    let daemon = Daemon::rehearsing();
    let events = stream(&daemon, ask("fail: 429 7")).await;
    let kinds = ["response.created", "response.queued", "response.in_progress", "response.failed"];
    assert_eq!(types(&events), kinds);
    let failed = &events[3]["response"];
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("rate_limit_exceeded")));
    let (status, queued) = post(&daemon, &ask("fail: 429 7")).await;
    assert_eq!((status, &queued["status"]), (200, &json!("queued")));
    assert_eq!(until_status(&daemon, &id(&queued), "failed").await["error"], failed["error"]);
}
