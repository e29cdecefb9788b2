//! What a connection remembers, and for how long.

use super::*;

fn from(message: Value, previous: &Value) -> Value {
    with(message, "previous_response_id", previous["id"].clone())
}

fn unstored(input: &str) -> Value {
    with(create(input), "store", false)
}

/// Who spoke in a history, as the model got it.
fn roles(response: &Value) -> Vec<String> {
    let messages = history(response);
    messages.as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect()
}

fn not_found() -> Value {
    let message = "The response in `previous_response_id`, or one that it goes on from, was not found: it was never stored, or deleted, or is too old.";
    let error = json!({"type": "invalid_request_error", "code": "previous_response_not_found", "message": message,
        "param": "previous_response_id"});
    json!({"status": 404, "error": error})
}

#[tokio::test]
async fn what_is_not_stored_is_known_to_its_connection_alone() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let first = socket.respond(&unstored("run: echo kept > note.txt")).await;
    let second = socket.respond(&from(unstored("run: cat note.txt"), &first)).await;
    let seen = second["output"][0]["output"].as_str().unwrap();
    assert!(seen.starts_with("kept\n"), "another workspace: {seen}");
    let third = socket.respond(&from(unstored("echo: messages"), &second)).await;
    let turn = ["user", "assistant", "tool", "assistant"];
    assert_eq!(roles(&third), [turn.as_slice(), &turn, &["user"]].concat());
    // An earlier one is still there, and one that is stored may follow.
    let fork = socket.respond(&from(create("echo: messages"), &first)).await;
    let after = socket.respond(&from(create("echo: messages"), &fork)).await;
    assert_eq!((roles(&fork).len(), roles(&after).len()), (5, 7));
    for response in [&first, &second, &third] {
        assert_eq!(get(&daemon, response["id"].as_str().unwrap()).await.0, 404);
    }
    // The second has the others in it, so that it is as lost as they are.
    let mut other = Socket::open(&daemon).await;
    for response in [&first, &third, &fork, &after] {
        assert_eq!(other.refusal(&from(create("say: More"), response)).await, not_found());
    }
    assert_eq!(get(&daemon, fork["id"].as_str().unwrap()).await, (200, fork));
}

#[tokio::test]
async fn what_is_stored_is_known_to_all() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let first = socket.respond(&create("say: One")).await;
    let (_, second) =
        post(&daemon, &json!({"model": "nuncio", "input": "echo: messages", "previous_response_id": first["id"]}))
            .await;
    assert_eq!(roles(&second).len(), 3);
    let mut other = Socket::open(&daemon).await;
    let third = other.respond(&from(unstored("echo: messages"), &second)).await;
    let fourth = other.respond(&from(unstored("echo: messages"), &third)).await;
    assert_eq!((roles(&third).len(), roles(&fourth).len()), (5, 7));
    // No failure takes from the store what is in it.
    socket.refusal(&from(with(create("x"), "input", 7), &second)).await;
    assert_eq!(roles(&socket.respond(&from(create("echo: messages"), &second)).await).len(), 5);
}

#[tokio::test]
async fn what_could_not_be_gone_on_from_is_forgotten() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    for failing in [with(unstored("x"), "input", 7), with(unstored("x"), "model", "none"), unstored("say: So\ncut")] {
        let (one, other) = (socket.respond(&unstored("say: One")).await, socket.respond(&unstored("say: Two")).await);
        let failed = socket.turn(&from(failing, &one)).await;
        let last = failed.last().unwrap();
        assert!(["error", "response.failed"].contains(&last["type"].as_str().unwrap()), "{last}");
        assert_eq!(socket.refusal(&from(unstored("say: More"), &one)).await, not_found());
        // And so is nothing else, except what has failed itself.
        assert_eq!(socket.respond(&from(unstored("say: More"), &other)).await["status"], "completed");
        if last["type"] == "response.failed" {
            assert_eq!(socket.refusal(&from(unstored("say: More"), &last["response"])).await, not_found());
        }
    }
    // What was cut short is no failure.
    let one = socket.respond(&unstored("say: One")).await;
    let cut = socket.respond(&from(with(unstored("count: 100"), "max_output_tokens", 16), &one)).await;
    assert_eq!(cut["status"], "incomplete");
    for response in [&one, &cut] {
        assert_eq!(socket.respond(&from(unstored("say: More"), response)).await["status"], "completed");
    }
}

#[tokio::test]
async fn only_the_latest_are_remembered() {
    let daemon = Daemon::rehearsing();
    let mut socket = Socket::open(&daemon).await;
    let first = socket.respond(&unstored("say: One")).await;
    let mut last = first.clone();
    for _ in 0..20 {
        last = socket.respond(&from(unstored("say: More"), &last)).await;
    }
    // But all of what they go on from.
    assert_eq!(roles(&socket.respond(&from(unstored("echo: messages"), &last)).await).len(), 43);
    assert_eq!(socket.refusal(&from(unstored("say: More"), &first)).await, not_found());
}

#[tokio::test]
async fn a_warm_up_runs_nothing_and_can_be_gone_on_from() {
    let daemon = Daemon::rehearsing();
    for store in [true, false] {
        let mut socket = Socket::open(&daemon).await;
        let warm = with(with(create("run: touch never"), "generate", false), "store", store);
        let told = socket.turn(&warm).await;
        assert_eq!(types(&told), ["response.created", "response.in_progress", "response.completed"]);
        let numbers: Vec<u64> = told.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let response = &told[2]["response"];
        let usage = (&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]);
        assert_eq!((&response["output"], usage), (&json!([]), (&json!(0), &json!(0))));
        let next = socket.respond(&from(with(create("echo: messages"), "store", store), response)).await;
        assert_eq!(roles(&next), ["user", "user"]);
        assert_eq!(history(&next)[0]["content"], "run: touch never");
        let stored = get(&daemon, response["id"].as_str().unwrap()).await;
        assert_eq!(stored.0, if store { 200 } else { 404 });
        if store {
            assert_eq!(&stored.1, response);
        }
    }
    assert!(!daemon.log().contains("tool call"), "{}", daemon.log());
    assert_eq!(daemon.log().matches("run ended").count(), 2, "{}", daemon.log());
}
