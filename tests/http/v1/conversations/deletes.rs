//! What is left when something is taken away.

use super::*;

async fn remove(daemon: &Daemon, id: &str, item: &Value) -> (u16, Value) {
    delete(daemon, &format!("/{id}/items/{}", item["id"].as_str().unwrap())).await
}

async fn delete_response(daemon: &Daemon, response: &Value) -> u16 {
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    answer(client().delete(daemon.url(&path))).await.0
}

async fn go_on_from(daemon: &Daemon, response: &Value) -> (u16, Value) {
    let body = json!({"model": "nuncio", "input": "echo: messages", "previous_response_id": response["id"]});
    post(daemon, &body).await
}

#[tokio::test]
async fn an_item_that_is_removed_is_neither_listed_nor_read() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({"metadata": {"k": "v"}})).await;
    let first = say(&daemon, &id, "say: Before\nrun: echo one\nrun: echo two\nthen\nsay: After").await;
    let (_, conversation) = get(&daemon, &format!("/{id}")).await;
    let before = items(&daemon, &id).await;
    // The first call goes with its output, and what was said before it.
    for at in [1, 2] {
        assert_eq!(remove(&daemon, &id, &before[at]).await, (200, conversation.clone()));
        let again = (404, "item_not_found".into(), "item_id".into());
        assert_eq!(error(remove(&daemon, &id, &before[at]).await), again);
        let path = format!("/{id}/items/{}", before[at]["id"].as_str().unwrap());
        assert_eq!(error(get(&daemon, &path).await), again);
    }
    assert_eq!(items(&daemon, &id).await, [&before[..1], &before[3..]].concat());
    let told = history(&say(&daemon, &id, "echo: messages").await);
    assert_eq!(roles(&told), ["user", "assistant", "tool", "assistant", "user"]);
    assert!(told[2]["content"].as_str().unwrap().starts_with("two\n"), "{told}");
    // The response is what it was, and so is what goes on from it.
    assert_eq!(go_on_from(&daemon, &first).await.0, 200);
    assert_eq!(history(&go_on_from(&daemon, &first).await.1).as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn the_answer_to_a_client_s_call_goes_with_the_call() {
    let daemon = Daemon::rehearsing();
    for at in [1, 2] {
        let call = json!({"type": "function_call", "call_id": "c", "name": "ask", "arguments": "{}"});
        let result = json!({"type": "function_call_output", "call_id": "c", "output": "yes"});
        let seed = json!([{"role": "user", "content": "x"}, call, result, {"role": "user", "content": "y"}]);
        let id = begin(&daemon, json!({"items": seed})).await;
        let removed = items(&daemon, &id).await[at].clone();
        assert_eq!(remove(&daemon, &id, &removed).await.0, 200);
        // The other half is still there to be looked at, but no model takes it.
        assert_eq!(items(&daemon, &id).await.len(), 3);
        assert_eq!(roles(&history(&say(&daemon, &id, "echo: messages").await)), ["user", "user", "user"]);
    }
}

#[tokio::test]
async fn a_conversation_goes_on_without_a_response_that_was_deleted() {
    let daemon = Daemon::rehearsing();
    let mut responses = Vec::new();
    for input in ["say: One", "say: Two", "say: Three"] {
        responses.push(say(&daemon, "c", input).await);
    }
    let id = id_of(&daemon, "c").await;
    assert_eq!(delete_response(&daemon, &responses[1]).await, 200);
    assert_eq!(told(&daemon, &id).await, ["say: One", "One", "say: Three", "Three"]);
    assert_eq!(history(&say(&daemon, &id, "echo: messages").await).as_array().unwrap().len(), 5);
    // By its id nothing goes on with a hole in it.
    for response in &responses[1..] {
        let (status, body) = go_on_from(&daemon, response).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert!(status == 404 && message.contains("was deleted"), "{body}");
        assert_eq!(error((status, body)), (404, "previous_response_not_found".into(), "previous_response_id".into()));
    }
    assert_eq!(go_on_from(&daemon, &responses[0]).await.0, 200);
    assert_eq!(delete_response(&daemon, &responses[1]).await, 404);
    let path = format!("/v1/responses/{}", responses[1]["id"].as_str().unwrap());
    assert_eq!(answer(client().get(daemon.url(&path))).await.0, 404);
    // The last one too, and the first.
    let last = say(&daemon, &id, "say: Last").await;
    assert_eq!((delete_response(&daemon, &last).await, delete_response(&daemon, &responses[0]).await), (200, 200));
    assert_eq!(told(&daemon, &id).await[..3], ["say: Three", "Three", "echo: messages"]);
    assert_eq!(history(&say(&daemon, &id, "echo: messages").await).as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_conversation_that_is_deleted_leaves_its_responses() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({"items": [{"role": "user", "content": "hi"}]})).await;
    let first = say(&daemon, &id, "say: One").await;
    let second = say(&daemon, &id, "say: Two").await;
    assert_eq!(delete(&daemon, &format!("/{id}")).await.0, 200);
    let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
    assert_eq!(answer(client().get(daemon.url(&path))).await, (200, second.clone()));
    assert_eq!(history(&go_on_from(&daemon, &second).await.1).as_array().unwrap().len(), 6);
    assert_eq!((delete_response(&daemon, &first).await, go_on_from(&daemon, &second).await.0), (200, 404));
    let body = json!({"model": "nuncio", "input": "say: More", "conversation": id});
    assert_eq!(error(post(&daemon, &body).await), (404, "conversation_not_found".into(), "conversation".into()));
}

#[tokio::test]
async fn a_turn_under_way_outlives_its_conversation() {
    let daemon = Daemon::rehearsing();
    let first = say(&daemon, "c", "say: One").await;
    let body = json!({"model": "nuncio", "input": "wait: 300ms\nsay: Two", "conversation": "c", "background": true});
    let (_, running) = post(&daemon, &body).await;
    let id = id_of(&daemon, "c").await;
    assert_eq!(delete(&daemon, &format!("/{id}")).await.0, 200);
    let done = until_status(&daemon, running["id"].as_str().unwrap(), "completed").await;
    assert_eq!(history(&go_on_from(&daemon, &done).await.1).as_array().unwrap().len(), 5);
    assert_eq!((error(get(&daemon, &format!("/{id}")).await), go_on_from(&daemon, &first).await.0), (not_found(), 200));
}
