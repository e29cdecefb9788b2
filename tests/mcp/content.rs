//! What servers offer and answer, and what the model and the client get of it.

use crate::{call, client, daemon, health, hostile, offered, play, said, until, with};
use serde_json::{Value, json};

#[tokio::test]
async fn a_call_shows_with_the_servers_label_and_the_tools_own_name() {
    let daemon = with("good");
    let mut call = call(&daemon, "it__terminal", json!({})).await;
    assert!(call["id"].take().as_str().unwrap().starts_with("mcp_"));
    let expected = json!({
        "type": "mcp_call", "id": null, "status": "completed", "server_label": "it", "name": "terminal",
        "arguments": "{}", "approval_request_id": null, "output": "the other terminal", "error": null,
    });
    assert_eq!(call, expected);
    assert_eq!(said(&daemon, "odd_name", json!({})).await, Ok("odd".to_owned()));
}

#[tokio::test]
async fn text_structured_results_and_failures_are_told() {
    let daemon = with("good");
    assert_eq!(said(&daemon, "echo", json!({"text": "hi"})).await, Ok("hi".to_owned()));
    assert_eq!(said(&daemon, "structured", json!({})).await, Ok(r#"{"degrees":7}"#.to_owned()));
    assert_eq!(said(&daemon, "fail", json!({})).await, Err("the disk is full".to_owned()));
    let refused = "The MCP server it refused the call: no, not like this".to_owned();
    assert_eq!(said(&daemon, "complain", json!({})).await, Err(refused));
    let unfit = said(&daemon, "echo", json!({"text": 1})).await.unwrap_err();
    assert!(unfit.starts_with("The arguments of echo do not fit its schema:"), "{unfit}");
    let long = said(&daemon, "long", json!({})).await.unwrap();
    assert!(long.len() < 33_000 && long.contains("[… 67232 bytes cut …]"), "{}", long.len());
    assert_eq!(said(&daemon, "ask", json!({})).await, Ok("asked".to_owned()));
}

#[tokio::test]
async fn an_image_goes_to_the_model() {
    let daemon = with("good");
    let script = "call: image {}\nthen\necho: request";
    let response = play(&daemon, script).await;
    assert!(response.to_string().contains("data:image/png;base64,iVBORw0KGgo="), "{response}");
}

#[tokio::test]
async fn resources_and_prompts_are_read_with_tools_of_their_own() {
    let daemon = with("good");
    let read = |arguments| said(&daemon, "read_resource", arguments);
    assert_eq!(read(json!({"server": "it"})).await, Ok("note://one one: The first".to_owned()));
    let expected = "[resource note://one]\nThis is note://one.".to_owned();
    assert_eq!(read(json!({"server": "it", "uri": "note://one"})).await, Ok(expected));
    let arguments = json!({"server": "it", "prompt": "greet", "arguments": {"who": "Ada"}});
    assert_eq!(said(&daemon, "get_prompt", arguments).await, Ok("[user]\nGreet Ada.".to_owned()));
    assert_eq!(health(&daemon, "it").await["prompts"], json!(["greet"]));
}

#[tokio::test]
async fn a_server_gets_what_it_is_given_of_the_environment_and_nothing_else() {
    let server = hostile("good", "GIVEN: literal") + ", pass_env: [PASSED]}";
    let yaml = format!("{}mcp_servers: {{it: {server}}}\n", crate::REHEARSAL);
    let variables = [("PASSED", "on"), ("SECRET", "of the daemon")];
    let daemon = crate::support::Daemon::with_environment(&yaml, &variables);
    let told = said(&daemon, "environment", json!({})).await.unwrap();
    let mut names: Vec<&str> = told.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "HOME", "LANG", "MODE", "PASSED", "PATH", "TMPDIR"]);
    assert!(told.contains("GIVEN=literal") && told.contains("PASSED=on"), "{told}");
}

#[tokio::test]
async fn tools_that_clash_are_prefixed_and_each_profile_gets_what_it_lists() {
    let two = [
        ("a", hostile("good", "") + ", allow: [echo, fail]}"),
        ("b", hostile("good", "") + ", deny: [fail], allow: [echo, wait]}"),
    ];
    let of = async |profile: &str| {
        let daemon = daemon(&two, profile);
        let names = offered(&daemon).await;
        names.into_iter().filter(|name| !nuncio::tools::NAMES.contains(&name.as_str())).collect::<Vec<_>>()
    };
    let all = ["a__echo", "b__echo", "fail", "get_prompt", "read_resource", "wait"];
    assert_eq!(of("").await, all);
    assert_eq!(of("mcp: [b]").await, ["b__echo", "get_prompt", "read_resource", "wait"]);
    assert_eq!(of("tools: [read_file]").await, Vec::<String>::new());
    assert_eq!(of("tools: [read_file, a__fail, b__read_resource]").await, ["fail", "read_resource"]);
    assert_eq!(of("tools: [], mcp: [a]").await, ["a__echo", "fail", "get_prompt", "read_resource"]);
}

#[tokio::test]
async fn a_tool_that_a_server_learns_is_offered_to_the_next_run() {
    let daemon = with("good");
    assert_eq!(said(&daemon, "learn", json!({})).await, Ok("done".to_owned()));
    let has = |line: &Value| line["tools"].as_array().unwrap().contains(&json!("learned"));
    until(&daemon, "it", has).await;
    assert_eq!(said(&daemon, "learned", json!({})).await, Ok("I can do that now".to_owned()));
}

#[tokio::test]
async fn progress_shows_and_a_client_that_leaves_cancels_the_call() {
    let daemon = with("good");
    let body = json!({"model": "nuncio", "stream": true, "messages": [{"role": "user", "content": "call: wait {}"}]});
    let mut stream = client().post(daemon.url("/v1/chat/completions")).json(&body).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("1 of 3: on it") {
        let chunk = tokio::time::timeout(crate::PATIENCE, stream.chunk()).await.unwrap().unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap_or_else(|| panic!("{text}"))));
    }
    drop(stream);
    let file = daemon.folder.path().join("data/mcp/it/cancelled");
    let waiting = async {
        while !file.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::PATIENCE, waiting).await.unwrap();
    // It is there for the next one.
    assert_eq!(said(&daemon, "echo", json!({"text": "hi"})).await, Ok("hi".to_owned()));
    assert_eq!(health(&daemon, "it").await["restarts"], 0);
}
