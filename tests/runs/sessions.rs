//! Which turns share a workspace, and which requests have none.

use crate::client::Client;
use crate::support::Daemon;
use crate::upstream::{Request, Server, calls, stream, turn};
use crate::{Settings, ask, daemon, with};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// In this order: the first that is sent names the session.
const HEADERS: [&str; 6] =
    ["x-nuncio-session", "x-hermes-session-id", "x-openwebui-chat-id", "session-id", "thread-id", "x-session-id"];

/// An upstream that asks for the folder it works in, and then says something else every time.
async fn upstream() -> Server {
    Server::directed(|number, request: &Request| {
        let tools = request.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        let has = |name: &str| tools.iter().any(|tool| tool["function"]["name"] == name);
        let last = request.body["messages"].as_array().unwrap().last().unwrap();
        if request.body["messages"][0]["content"] == "hush" && last["role"] == "tool" {
            return turn([], "stop");
        }
        if last["role"] == "tool" || last["content"] == "talk" || !has("terminal") {
            return stream(&format!("Answer {number}."));
        }
        let pwd = calls(0, "a", "terminal", &json!({"command": "pwd"}));
        let weather = has("get_weather").then(|| calls(1, "b", "get_weather", &json!({})));
        turn([pwd].into_iter().chain(weather), "tool_calls")
    })
    .await
}

/// What a turn came to: the name of the folder it worked in, and the message that answers it.
#[derive(Debug)]
struct Turn {
    folder: String,
    answer: Value,
}

async fn turn_with(daemon: &Daemon, headers: &str, fields: Value) -> Turn {
    let body = with(with(ask("hi"), json!({"stream": false})), fields);
    let mut client = Client::post_with(daemon, headers, &body).await;
    let head = client.head().await;
    let mut body = client.json(&head).await;
    assert_eq!(head.status, 200, "{body}");
    Turn { folder: String::new(), answer: body["choices"][0]["message"].take() }
}

/// One turn with these messages, which runs a tool.
async fn work(upstream: &Server, daemon: &Daemon, headers: &str, messages: Value) -> Turn {
    let turn = turn_with(daemon, headers, json!({"messages": messages})).await;
    Turn { folder: worked_in(upstream).pop().unwrap(), ..turn }
}

/// The folders that the tools worked in whose output the model was last told of: what the client never sees.
fn worked_in(upstream: &Server) -> Vec<String> {
    let request = upstream.requests().pop().unwrap();
    let messages = request.body["messages"].as_array().unwrap().iter();
    let outputs =
        messages.filter(|message| message["role"] == "tool").filter_map(|message| message["content"].as_str());
    outputs.filter(|output| output.starts_with('/')).map(|output| output.lines().next().unwrap().to_owned()).collect()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// The folders there are.
fn folders(daemon: &Daemon) -> Vec<String> {
    let folders = std::fs::read_dir(daemon.folder.path().join("data/workspaces")).unwrap();
    folders.map(|folder| folder.unwrap().path().display().to_string()).collect()
}

#[tokio::test]
async fn the_first_session_header_there_is_names_the_workspace() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let line = |header: &&str| format!("{header}: of {header}\r\n");
    let mut alone = Vec::new();
    for header in HEADERS {
        alone.push(work(&upstream, &daemon, &line(&header), json!([user("hi")])).await.folder);
    }
    for first in 0..HEADERS.len() {
        // Last first, so that it is not the order of the lines that counts.
        let lines: String = HEADERS[first..].iter().rev().map(line).collect();
        assert_eq!(work(&upstream, &daemon, &lines, json!([user("other")])).await.folder, alone[first]);
    }
    let mut all = folders(&daemon);
    all.sort();
    alone.sort();
    assert_eq!(alone, all, "one folder each");
}

#[tokio::test]
async fn the_same_name_is_another_session_for_another_principal() {
    let upstream = upstream().await;
    let key = |name: &str| format!("{{name: {name}, hash: 'sha256:{}'}}", hex::encode(Sha256::digest(name)));
    let daemon = Daemon::with(&format!(
        "auth: {{keys: [{}, {}]}}\nupstreams: {{default: {{base_url: '{}', model: m}}}}\n",
        key("ann"),
        key("bob"),
        upstream.base_url
    ));
    let mut folders = Vec::new();
    for name in ["ann", "bob"] {
        let headers = format!("authorization: Bearer {name}\r\nx-nuncio-session: one\r\n");
        folders.push(work(&upstream, &daemon, &headers, json!([user("hi")])).await.folder);
    }
    assert_ne!(folders[0], folders[1]);
}

#[tokio::test]
async fn without_a_header_a_conversation_is_known_by_its_opening() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let first = work(&upstream, &daemon, "", json!([user("hi")])).await;
    let second = work(&upstream, &daemon, "", json!([user("hi")])).await;
    assert_ne!(first.folder, second.folder, "two users who say the same");
    for turn in [&first, &second] {
        let mut messages = vec![user("hi"), turn.answer.clone(), user("and now?")];
        for _ in 0..2 {
            let later = work(&upstream, &daemon, "", json!(messages)).await;
            assert_eq!(later.folder, turn.folder);
            messages.extend([later.answer, user("and then?")]);
        }
    }
    let system = json!({"role": "system", "content": "Be brief."});
    let other = work(&upstream, &daemon, "", json!([system, user("hi"), first.answer, user("and now?")])).await;
    assert!(![first.folder, second.folder].contains(&other.folder), "another system text is another conversation");
}

/// A turn that was cut off before its first word is nobody's opening but that of all who ask the same.
#[tokio::test]
async fn a_turn_without_words_is_not_taken_for_another_one_s() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let mut found = Vec::new();
    for _ in 0..2 {
        found.push(work(&upstream, &daemon, "", json!([user("hush")])).await.folder);
        let silence = json!({"role": "assistant", "content": ""});
        found.push(work(&upstream, &daemon, "", json!([user("hush"), silence, user("hi")])).await.folder);
    }
    let all = folders(&daemon);
    assert_eq!(all.len(), found.len(), "{found:?}");
}

#[tokio::test]
async fn a_turn_that_waited_for_the_client_goes_on_where_it_was() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let tools = json!({"tools": [{"type": "function", "function": {"name": "get_weather"}}]});
    let asked = turn_with(&daemon, "", tools.clone()).await;
    let id = &asked.answer["tool_calls"][0]["id"];
    let output = json!({"role": "tool", "tool_call_id": id, "content": "snow"});
    let messages = vec![user("hi"), asked.answer, output];
    let told = turn_with(&daemon, "", with(tools, json!({"messages": messages}))).await;
    let before = worked_in(&upstream).remove(0);
    let later = [messages, vec![told.answer, user("ok")]].concat();
    assert_eq!(work(&upstream, &daemon, "", json!(later)).await.folder, before);
}

#[tokio::test]
async fn housekeeping_and_plain_talk_touch_no_session() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings { profile: "instructions: Obey.", ..Settings::default() });
    let task = json!([user("### Task:\nGenerate a title.")]);
    let title = json!([{"role": "system", "content": "You are a title generator."}, user("hi")]);
    let housekeeping = [json!({"messages": task}), json!({"messages": title})];
    let talk = [
        json!({"messages": [user("talk")]}),
        json!({"messages": [user("hi")], "tools": []}),
        json!({"messages": [user("hi")], "tool_choice": "none"}),
    ];
    for fields in housekeeping.iter().chain(&talk) {
        turn_with(&daemon, "x-openwebui-chat-id: one\r\n", fields.clone()).await;
        assert_eq!(folders(&daemon), [""; 0], "{fields}");
    }
    let offered = |request: &Request| request.body["tools"].to_string().contains("terminal");
    assert_eq!(upstream.requests().iter().map(offered).collect::<Vec<_>>(), [false, false, true, false, false]);
    let obeys = |request: &Request| request.body.to_string().contains("Obey.");
    let obeyed: Vec<bool> = upstream.requests().iter().map(obeys).collect();
    assert_eq!(obeyed, [false, false, true, true, true], "a title is not the agent's work");
}

/// Or the file tools would be confined to wherever a command let it lead.
#[tokio::test]
async fn a_symlink_in_the_place_of_a_workspace_is_no_workspace() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let headers = "x-nuncio-session: one\r\n";
    let folder = work(&upstream, &daemon, headers, json!([user("hi")])).await.folder;
    std::fs::remove_dir(&folder).unwrap();
    std::os::unix::fs::symlink(daemon.folder.path(), &folder).unwrap();

    let body = with(ask("hi"), json!({"stream": false}));
    let head = Client::post_with(&daemon, headers, &body).await.head().await;
    assert_ne!(head.status, 200);
    assert!(
        daemon.log().contains(&format!("the workspace {folder} cannot be made: it is no folder")),
        "{}",
        daemon.log()
    );
}

#[tokio::test]
async fn a_profile_s_workspace_is_everyone_s() {
    let upstream = upstream().await;
    let fixed = tempfile::tempdir().unwrap();
    let profile = format!("workspace: '{}'", fixed.path().display());
    let daemon = daemon(&upstream, &Settings { profile: &profile, ..Settings::default() });
    for headers in ["", "x-nuncio-session: one\r\n"] {
        let turn = work(&upstream, &daemon, headers, json!([user("hi")])).await;
        assert_eq!(turn.folder, fixed.path().display().to_string());
    }
    assert_eq!(folders(&daemon), [""; 0]);
}

/// An upstream that has one answer for everybody, as many have to a greeting or a plain task.
async fn monotonous() -> Server {
    Server::directed(|_, request: &Request| {
        let last = request.body["messages"].as_array().unwrap().last().unwrap();
        match (last["role"].as_str(), last["content"].as_str()) {
            (Some("user"), Some("hello")) => stream("Hello! How can I help?"),
            (Some("user"), _) => turn([calls(0, "a", "terminal", &json!({"command": "pwd"}))], "tool_calls"),
            _ => stream("Done."),
        }
    })
    .await
}

#[tokio::test]
async fn two_who_get_the_same_answer_to_the_same_question_never_meet() {
    let upstream = monotonous().await;
    let daemon = daemon(&upstream, &Settings::default());
    let one = work(&upstream, &daemon, "", json!([user("list")])).await;
    let other = work(&upstream, &daemon, "", json!([user("list")])).await;
    let next = |first: &Turn| json!([user("list"), first.answer, user("more")]);
    let one_again = work(&upstream, &daemon, "", next(&one)).await;
    let other_again = work(&upstream, &daemon, "", next(&other)).await;
    let mut folders = [one.folder, other.folder, one_again.folder, other_again.folder];
    folders.sort();
    assert!(folders.windows(2).all(|pair| pair[0] != pair[1]), "{folders:?}");
}

#[tokio::test]
async fn people_of_one_key_who_say_the_same_keep_their_own() {
    let upstream = monotonous().await;
    let daemon = daemon(&upstream, &Settings::default());
    let person = |name: &str| format!("X-Hermes-Session-Key: {name}\r\n");
    let mut folders = Vec::new();
    for name in ["ada", "bob"] {
        let turn = work(&upstream, &daemon, &person(name), json!([user("list")])).await;
        folders.push((name, turn.folder, json!([user("list"), turn.answer, user("more")])));
    }
    for (name, folder, history) in &folders {
        assert_eq!(work(&upstream, &daemon, &person(name), history.clone()).await.folder, *folder, "{name}");
    }
    let stranger = work(&upstream, &daemon, &person("eve"), folders[0].2.clone()).await.folder;
    assert!(folders.iter().all(|(_, folder, _)| *folder != stranger), "{stranger}");
}

#[tokio::test]
async fn small_talk_leads_nobody_into_a_session_that_began_after_it() {
    let upstream = monotonous().await;
    let daemon = daemon(&upstream, &Settings::default());
    let greeting = turn_with(&daemon, "", json!({"messages": [user("hello")]})).await.answer;
    let one = work(&upstream, &daemon, "", json!([user("hello"), greeting, user("write")])).await;
    let other = work(&upstream, &daemon, "", json!([user("hello"), greeting, user("read")])).await;
    let history = json!([user("hello"), greeting, user("write"), one.answer, user("and?")]);
    let one_again = work(&upstream, &daemon, "", history).await;
    assert_eq!((one.folder == one_again.folder, one.folder == other.folder), (true, false));
}
