//! Requests that cannot be served: each is told what is wrong with it.

use super::*;

fn item(item: Value) -> Value {
    json!({"items": [item]})
}

/// Bodies of `POST /v1/conversations`, of `…/{id}`, and of `…/{id}/items`.
fn bodies() -> Vec<(&'static str, Value)> {
    let message = json!({"role": "user", "content": "x"});
    let pairs: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    let metadata = [
        json!(7),
        json!([]),
        json!({"k": 1}),
        json!({"k": "x".repeat(513)}),
        json!({"k".repeat(65): "x"}),
        json!(pairs),
    ];
    let mut bodies =
        vec![("", json!([])), ("", json!(null)), ("/ID", json!({})), ("/ID", json!("x")), ("/ID/items", json!({}))];
    bodies.extend(metadata.iter().flat_map(|metadata| ["", "/ID"].map(|path| (path, json!({"metadata": metadata})))));
    bodies.extend(
        [json!(7), json!(""), json!("conv_mine"), json!("a\tb"), json!("x".repeat(129))]
            .map(|name| ("", json!({"name": name}))),
    );
    let items = [
        json!({"items": "x"}),
        json!({"items": vec![message; 21]}),
        item(json!("text")),
        item(json!({"type": "web_search_call", "id": "ws_1"})),
        item(json!({"role": "tool", "content": "x"})),
        item(json!({"role": "user", "content": 7})),
        item(json!({"type": "function_call", "name": "ask", "arguments": "{}"})),
        item(json!({"type": "function_call_output", "call_id": "c", "output": "x"})),
    ];
    bodies.extend(items.iter().flat_map(|items| ["", "/ID/items"].map(|path| (path, items.clone()))));
    bodies.push(("/ID/items", json!({"items": []})));
    bodies.extend([
        ("/conv_x", json!({"metadata": {}})),
        ("/conv_x/items", item(json!({"role": "user", "content": "x"}))),
    ]);
    bodies
}

#[tokio::test]
async fn every_malformed_request_is_told_what_is_wrong_with_it() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({})).await;
    let mut told = Vec::new();
    for (path, body) in bodies() {
        let (status, answer) = send(&daemon, &path.replace("ID", &id), &body).await;
        let error = answer["error"].as_object().unwrap_or_else(|| panic!("{path} {body} is answered with {answer}"));
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
        let (param, code) = (error["param"].as_str().unwrap_or("-"), error["code"].as_str().unwrap_or("-"));
        let body: String = body.to_string().chars().take(100).collect();
        told.push(format!("{PATH}{path} {body}\n    {status} {code} {param}: {}", error["message"].as_str().unwrap()));
    }
    insta::assert_snapshot!(told.join("\n"));
    let (_, list) = get(&daemon, "").await;
    assert_eq!((list["data"].as_array().unwrap().len(), items(&daemon, &id).await), (1, vec![]));
}

#[tokio::test]
async fn malformed_queries_and_paths_are_told_what_is_wrong_with_them() {
    let daemon = Daemon::rehearsing();
    let id = begin(&daemon, json!({"items": [{"role": "user", "content": "x"}]})).await;
    let told = [
        ("?limit=0", 400, "-", "limit"),
        ("?limit=x", 400, "-", "limit"),
        ("?order=up", 400, "-", "order"),
        ("/ID/items?limit=101", 400, "-", "limit"),
        ("/ID/items?order=", 400, "-", "order"),
        ("/ID/items?after=nothing", 400, "-", "after"),
        ("/ID/items/msg_x", 404, "item_not_found", "item_id"),
        ("/ID/items/%ff", 404, "conversation_not_found", "id"),
        ("/conv_x", 404, "conversation_not_found", "id"),
        ("/conv_x/items/msg_x", 404, "conversation_not_found", "id"),
        ("/ID/other", 404, "unknown_url", "-"),
    ];
    for (path, status, code, param) in told {
        let answer = get(&daemon, &path.replace("ID", &id)).await;
        assert_eq!(error(answer), (status, code.to_owned(), param.to_owned()), "{path}");
    }
    let method = answer(client().put(daemon.url(&format!("{PATH}/{id}")))).await;
    assert_eq!(error(method).1, "method_not_allowed");
}
