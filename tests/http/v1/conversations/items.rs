//! What is in a conversation, and what the model gets of it.

use super::*;

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// A message as it is listed.
fn listed(like: &Value, role: &str, text: &str) -> Value {
    let content = match role {
        "assistant" => json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]),
        _ => json!([{"type": "input_text", "text": text}]),
    };
    json!({"type": "message", "id": like["id"], "status": "completed", "role": role, "content": content})
}

fn output(response: &Value) -> &[Value] {
    response["output"].as_array().unwrap()
}

async fn add(daemon: &Daemon, id: &str, items: Value) -> (u16, Value) {
    send(daemon, &format!("/{id}/items"), &json!({"items": items})).await
}

#[tokio::test]
async fn every_turn_goes_on_from_all_that_was_said_and_done() {
    let daemon = Daemon::rehearsing();
    let seed = json!([message("developer", "be kind"), message("user", "hi"), message("assistant", "hello")]);
    let id = begin(&daemon, json!({"items": seed})).await;
    let script = "think: Hm\nrun: echo kept > note.txt; cat note.txt\nrun: echo two\nthen\nsay: Done";
    let first = say(&daemon, &id, script).await;
    let second = say(&daemon, &id, "run: cat note.txt").await;
    assert!(second["output"][0]["output"].as_str().unwrap().starts_with("kept\n"), "another folder: {second}");
    let third = say(&daemon, &id, "echo: messages").await;
    let told = history(&third);
    let turns = ["user", "assistant", "tool", "tool", "assistant", "user", "assistant", "tool", "assistant", "user"];
    assert_eq!(roles(&told), [&["system", "user", "assistant"], turns.as_slice()].concat());
    assert!(told[5]["content"].as_str().unwrap().starts_with("kept\n"), "{told}");
    // Listed is what was sent, and what was made of it in the form in which the response shows it.
    let items = items(&daemon, &id).await;
    let sent = |at: usize, role: &str, text: &str| vec![listed(&items[at], role, text)];
    let expected = [
        sent(0, "developer", "be kind"),
        sent(1, "user", "hi"),
        sent(2, "assistant", "hello"),
        sent(3, "user", script),
        output(&first).to_vec(),
        sent(8, "user", "run: cat note.txt"),
        output(&second).to_vec(),
        sent(11, "user", "echo: messages"),
        output(&third).to_vec(),
    ];
    assert_eq!(items, expected.concat());
    let ids: std::collections::HashSet<_> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), items.len());
    // Whoever leaves the conversation goes on from there, in its folder.
    let branch = json!({"model": "nuncio", "input": "run: cat note.txt", "previous_response_id": first["id"]});
    let (_, branch) = post(&daemon, &branch).await;
    assert!(branch["output"][0]["output"].as_str().unwrap().starts_with("kept\n"), "another folder: {branch}");
    let on = json!({"model": "nuncio", "input": "echo: messages", "previous_response_id": branch["id"]});
    assert_eq!(history(&post(&daemon, &on).await.1).as_array().unwrap().len(), 3 + 5 + 4 + 1);
    assert_eq!((&branch["conversation"], super::items(&daemon, &id).await), (&Value::Null, items));
}

#[tokio::test]
async fn items_are_added_shown_and_listed_in_pages() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({})).await;
    // An id that came with an item may be another item's, so each gets its own.
    let sent: Vec<Value> =
        (0..20).map(|n| json!({"role": "user", "id": "msg_mine", "content": n.to_string()})).collect();
    let (status, added) = add(&daemon, &id, json!(sent)).await;
    let data = added["data"].as_array().unwrap();
    let expected: Vec<Value> = (0..20).map(|n: usize| listed(&data[n], "user", &n.to_string())).collect();
    assert_eq!((status, data), (200, &expected));
    let ends = |list: &Value| (list["first_id"].clone(), list["last_id"].clone(), list["has_more"].clone());
    assert_eq!(ends(&added), (data[0]["id"].clone(), data[19]["id"].clone(), json!(false)));
    let call = json!({"type": "mcp_call", "id": "mcp_9", "server_label": "x", "name": "look", "arguments": "{}", "output": "seen"});
    let (status, more) = add(&daemon, &id, json!([call, message("assistant", "I see")])).await;
    let mut shown = call.clone();
    shown.as_object_mut().unwrap().extend(
        json!({"status": "completed", "approval_request_id": null, "error": null}).as_object().unwrap().clone(),
    );
    assert_eq!((status, &more["data"][0]), (200, &shown));
    for item in [&data[7], &more["data"][0]] {
        let path = format!("/{id}/items/{}", item["id"].as_str().unwrap());
        assert_eq!(get(&daemon, &path).await, (200, item.clone()));
    }
    let all: Vec<Value> = data.iter().chain(more["data"].as_array().unwrap()).cloned().collect();
    let (_, newest) = get(&daemon, &format!("/{id}/items?include=message.input_image.image_url")).await;
    assert_eq!(newest["data"].as_array().unwrap(), &all.iter().rev().take(20).cloned().collect::<Vec<_>>());
    let (_, rest) = get(&daemon, &format!("/{id}/items?after={}", newest["last_id"].as_str().unwrap())).await;
    assert_eq!((&rest["data"], &rest["has_more"]), (&json!([all[1], all[0]]), &json!(false)));
    let (_, page) =
        get(&daemon, &format!("/{id}/items?order=asc&limit=2&after={}", all[19]["id"].as_str().unwrap())).await;
    assert_eq!((&page["data"], &page["has_more"]), (&json!(all[20..]), &json!(false)));
    let next = say(&daemon, &id, "echo: messages").await;
    assert_eq!(history(&next).as_array().unwrap().len(), 20 + 3 + 1);
}

#[tokio::test]
async fn a_client_s_calls_wait_for_their_outputs() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({})).await;
    let tools = json!([{"type": "function", "name": "get_weather"}]);
    let ask = async |input: Value| {
        post(&daemon, &json!({"model": "nuncio", "input": input, "conversation": id, "tools": tools})).await
    };
    let (_, asked) = ask(json!("call: get_weather {\"city\": \"Bonn\"}")).await;
    let call_id = &asked["output"][0]["call_id"];
    let result = json!({"type": "function_call_output", "call_id": call_id, "output": "rain"});
    let stray = json!({"type": "function_call_output", "call_id": "x", "output": "rain"});
    for (items, starts) in [
        (json!([message("user", "and?")]), "No tool output found for the call"),
        (json!([stray]), "No tool call found for the output"),
    ] {
        for (status, body) in [ask(items.clone()).await, add(&daemon, &id, items.clone()).await] {
            assert!(status == 400 && body["error"]["message"].as_str().unwrap().starts_with(starts), "{body}");
        }
    }
    let (status, answered) = ask(json!([result])).await;
    assert!(status == 200 && text(&answered).contains("rain"), "{answered}");
    // Items may end with a call whose output comes later, by either way.
    let call = json!({"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"});
    assert_eq!(add(&daemon, &id, json!([call])).await.0, 200);
    assert_eq!(ask(json!("say: Hi")).await.0, 400);
    let result = json!({"type": "function_call_output", "call_id": "c1", "output": "snow"});
    assert_eq!(add(&daemon, &id, json!([result, message("user", "thanks")])).await.0, 200);
    let (_, last) = ask(json!("echo: messages")).await;
    // What the assistant said and its next call are one message to a chat model.
    assert_eq!(roles(&history(&last)), ["user", "assistant", "tool", "assistant", "tool", "user", "user"]);
}

#[tokio::test]
async fn a_request_that_is_not_stored_reads_and_adds_nothing() {
    let daemon = Daemon::rehearsing();
    let read = async |conversation: &str| {
        let body = json!({"model": "nuncio", "input": "echo: messages", "conversation": conversation, "store": false});
        let (status, response) = post(&daemon, &body).await;
        assert_eq!(status, 200, "{response}");
        (history(&response).as_array().unwrap().len(), response["conversation"].clone())
    };
    assert_eq!(read("new").await, (1, Value::Null));
    let (_, none) = get(&daemon, "?name=new").await;
    assert_eq!(none["data"], json!([]));
    say(&daemon, "new", "say: One").await;
    let id = id_of(&daemon, "new").await;
    assert_eq!(read("new").await, (3, json!({"id": id})));
    assert_eq!(told(&daemon, &id).await, ["say: One", "One"]);
}

/// What was done is kept, and what came to nothing is asked again.
#[tokio::test]
async fn a_turn_that_does_not_end_well_is_kept_if_it_has_made_something() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({})).await;
    let ask = async |input: &str| {
        let body = json!({"model": "nuncio", "input": input, "conversation": id, "max_output_tokens": 16});
        stream(&daemon, body).await.last().unwrap()["response"].clone()
    };
    let (status, _) = post(&daemon, &json!({"model": "nuncio", "input": "fail: 500", "conversation": id})).await;
    assert_eq!((status, told(&daemon, &id).await), (502, vec![]));
    let failed = ask("run: echo done > it\nthen\nsay: So\ncut").await;
    let cut = ask("count: 100").await;
    assert_eq!((&failed["status"], &cut["status"]), (&json!("failed"), &json!("incomplete")));
    let (counted, last) = (text(&cut), say(&daemon, &id, "echo: messages").await);
    assert_eq!(
        told(&daemon, &id).await[..5],
        ["run: echo done > it\nthen\nsay: So\ncut", "mcp_call", "So", "count: 100", &counted]
    );
    assert_eq!(roles(&history(&last)), ["user", "assistant", "tool", "assistant", "user", "assistant", "user"]);
    assert_eq!(items(&daemon, &id).await[2]["status"], "incomplete");
}

#[tokio::test]
async fn what_a_profile_does_not_show_is_not_listed() {
    let profiles = "profiles: {hid: {tool_activity: hidden}, fun: {tool_activity: function_call}}\n";
    let daemon = Daemon::with(&format!("{REHEARSAL}{profiles}"));
    let mut expected = Vec::new();
    for model in ["hid", "fun"] {
        let body = json!({"model": model, "input": "run: echo hi", "conversation": "c"});
        let (_, response) = post(&daemon, &body).await;
        expected.push("message".to_owned());
        expected.extend(output(&response).iter().map(|item| item["type"].as_str().unwrap().to_owned()));
    }
    let items = items(&daemon, &id_of(&daemon, "c").await).await;
    assert_eq!(items.iter().map(|item| item["type"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    assert_eq!(expected[2..], ["message", "function_call", "function_call_output", "message"]);
}

/// Hermes' rule, for a turn that waits as for one that does not.
#[tokio::test]
async fn instructions_hold_on_where_the_profile_says_so() {
    let daemon = Daemon::with(&format!("{REHEARSAL}profiles: {{nuncio: {{inherit_instructions: true}}}}\n"));
    let ask = async |input: &str, instructions: Option<&str>, background: bool| {
        let body = json!({"model": "nuncio", "input": input, "instructions": instructions, "conversation": "c",
            "background": background});
        post(&daemon, &body).await.1
    };
    ask("say: One", Some("be brief"), false).await;
    let second = ask("echo: system", None, false).await;
    assert_eq!((text(&second).as_str(), &second["instructions"]), ("be brief", &json!("be brief")));
    let held = ask("wait: 300ms\nsay: Two", Some("be long"), true).await;
    let waits = ask("echo: system", None, true).await;
    assert_eq!(waits["status"], "queued");
    for (response, said) in [(held, "Two"), (waits, "be long")] {
        let done = until_status(&daemon, response["id"].as_str().unwrap(), "completed").await;
        assert_eq!(text(&done), said);
    }
    assert_eq!(text(&ask("echo: system", None, false).await), "be long");
}
