//! An image that a tool gives: to the model as one, to the client as a word.

use crate::support::client;
use crate::upstream::{Request, Server, calls, stream, turn};
use crate::{Settings, daemon};
use serde_json::{Value, json};

/// A dot in base64.
const GIF: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

#[tokio::test]
async fn the_model_sees_the_image_and_the_client_is_told_of_it() {
    let upstream = Server::directed(|number, _: &Request| match number % 3 {
        0 => {
            let make = json!({"command": format!("echo {GIF} | base64 -d > dot.gif")});
            turn([calls(0, "a", "terminal", &make)], "tool_calls")
        }
        1 => turn([calls(0, "b", "view_image", &json!({"path": "dot.gif"}))], "tool_calls"),
        _ => stream("A dot."),
    })
    .await;
    let daemon = daemon(&upstream, &Settings::default());
    let words = "`dot.gif`: image/gif, 42 bytes\n[image/gif, 1 KB]";

    let ask = json!({"model": "nuncio", "input": "Draw a dot."});
    let response = client().post(daemon.url("/v1/responses")).json(&ask).send().await.unwrap();
    let response: Value = response.json().await.unwrap();
    assert_eq!(
        (&response["output"][1]["name"], &response["output"][1]["output"]),
        (&json!("view_image"), &json!(words))
    );

    let request = upstream.requests().pop().unwrap();
    let [.., told, shown] = request.body["messages"].as_array().unwrap().as_slice() else { panic!("too little") };
    assert_eq!((&told["role"], &told["content"]), (&json!("tool"), &json!(words)));
    let call_id = told["tool_call_id"].as_str().unwrap();
    let label = format!("The image that view_image gave (call {call_id}):");
    let url = format!("data:image/gif;base64,{GIF}");
    let parts = json!([{"type": "text", "text": label}, {"type": "image_url", "image_url": {"url": url}}]);
    assert_eq!(shown, &json!({"role": "user", "content": parts}));

    // It is there in the next turn as well, from the store.
    let more = json!({"model": "nuncio", "input": "Again?", "previous_response_id": response["id"]});
    let response = client().post(daemon.url("/v1/responses")).json(&more).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let request = &upstream.requests()[3];
    let images = request.body["messages"].as_array().unwrap().iter().filter(|message| message["content"] == parts);
    assert_eq!(images.count(), 1);

    let ask = json!({"model": "nuncio", "stream": true, "messages": [{"role": "user", "content": "Draw a dot."}]});
    let response = client().post(daemon.url("/v1/chat/completions")).json(&ask).send().await.unwrap();
    let frames = response.text().await.unwrap();
    assert!(frames.contains(&json!(words).to_string()), "{frames}");
    assert!(!frames.contains("data:image"), "{frames}");
}
