//! Items of the input: what reaches the model, and items that are named by their ids.

use super::*;
use crate::recorder::{Recorder, says};

#[tokio::test]
async fn what_a_chat_server_knows_nothing_of_stays_here() {
    let upstream = Recorder::answering(vec![says("ok")]).await;
    let daemon = Daemon::with(&upstream.yaml("{tools: []}"));
    let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"});
    let input = json!([
        {"role": "developer", "content": "dev"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "see"}, file]},
        {"type": "message", "role": "assistant", "phase": "commentary", "content": "Looking."},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "x", "tools": []},
        {"type": "message", "role": "assistant", "phase": "final_answer", "content": "Found."},
        {"role": "user", "content": "Hello"},
    ]);
    let (status, response) = post(&daemon, &json!({"model": "nuncio", "input": input})).await;
    assert_eq!(status, 200, "{response}");
    let sent = json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"});
    let expected = json!([
        {"role": "system", "content": "dev"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "file", "file": sent}]},
        {"role": "assistant", "content": "Looking."},
        {"role": "assistant", "content": "Found."},
        {"role": "user", "content": "Hello"},
    ]);
    assert_eq!(upstream.take().await["messages"], expected);
    let path = format!("{}/input_items?order=asc", response["id"].as_str().unwrap());
    let items = get(&daemon, &path).await.1["data"].take();
    let phases: Vec<&Value> = items.as_array().unwrap().iter().filter_map(|item| item.get("phase")).collect();
    assert_eq!(phases, ["commentary", "final_answer"]);
    assert_eq!((&items[1]["content"][1], &items[3]), (&file, &input[3]));
    assert!(items.as_array().unwrap().iter().all(|item| item["id"].is_string()), "{items}");
}

/// As the AI SDK does it: a stored conversation is sent again by the ids of its items.
#[tokio::test]
async fn a_conversation_can_be_sent_by_the_ids_of_its_items() {
    let daemon = Daemon::rehearsing();
    let tools = json!([{"type": "function", "name": "get_weather"}]);
    let script = "think: Hm\nsay: Look\nrun: echo first\ncall: get_weather {}";
    let (_, asked) = post(&daemon, &json!({"model": "nuncio", "input": script, "tools": tools})).await;
    let output = asked["output"].as_array().unwrap();
    let kinds: Vec<&str> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "mcp_call", "function_call"]);
    let (_, listed) = get(&daemon, &format!("{}/input_items", asked["id"].as_str().unwrap())).await;
    let reference = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    let result = json!({"type": "function_call_output", "call_id": output[3]["call_id"], "output": "rain"});
    let last = json!({"role": "user", "content": "echo: messages"});
    let by_reference: Vec<Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .chain(output)
        .map(reference)
        .chain([result.clone(), last.clone()])
        .collect();
    let itself: Vec<Value> =
        [json!({"role": "user", "content": script})].iter().chain(output).chain([&result, &last]).cloned().collect();
    let ask = async |input: &[Value]| post(&daemon, &json!({"model": "nuncio", "input": input, "tools": tools})).await;
    let (_, expected) = ask(&itself).await;
    let (status, response) = ask(&by_reference).await;
    assert_eq!((status, history(&response)), (200, history(&expected)));
    // What was named is listed as what it is, with the id that it had.
    let (_, listed) = get(&daemon, &format!("{}/input_items?order=asc", response["id"].as_str().unwrap())).await;
    assert_eq!((&listed["data"][2], &listed["data"][3]), (&output[1], &output[2]));
    // A response that is gone takes its items along, unless another holds them too.
    delete(&daemon, asked["id"].as_str().unwrap()).await;
    let unkept = json!({"model": "nuncio", "input": by_reference, "tools": tools, "store": false});
    assert_eq!(post(&daemon, &unkept).await.0, 200);
    delete(&daemon, response["id"].as_str().unwrap()).await;
    let (status, body) = post(&daemon, &unkept).await;
    assert_eq!((status, &body["error"]["param"], &body["error"]["code"]), (404, &json!("input"), &Value::Null));
    assert!(body["error"]["message"].as_str().unwrap().starts_with("Item with id 'msg_"), "{body}");
}
