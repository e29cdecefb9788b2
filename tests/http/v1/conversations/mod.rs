//! `/v1/conversations`, and `conversation` in a request of `/v1/responses`.

mod deletes;
mod items;
mod malformed;
mod turns;

use super::responses::{answer, history, post, stream, text, until, until_status};
use crate::support::{Daemon, REHEARSAL, client};
use nuncio::config::auth::KeyHash;
use serde_json::{Value, json};

const PATH: &str = "/v1/conversations";

/// `path` is what comes after `/v1/conversations`.
async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    answer(client().get(daemon.url(&format!("{PATH}{path}")))).await
}

async fn send(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    answer(client().post(daemon.url(&format!("{PATH}{path}"))).json(body)).await
}

async fn delete(daemon: &Daemon, path: &str) -> (u16, Value) {
    answer(client().delete(daemon.url(&format!("{PATH}{path}")))).await
}

/// Makes a conversation and gives its id.
async fn begin(daemon: &Daemon, body: Value) -> String {
    let (status, conversation) = send(daemon, "", &body).await;
    assert_eq!(status, 200, "{conversation}");
    conversation["id"].as_str().unwrap().to_owned()
}

/// Takes a turn in a conversation.
async fn say(daemon: &Daemon, conversation: &str, input: &str) -> Value {
    let (status, response) =
        post(daemon, &json!({"model": "nuncio", "input": input, "conversation": conversation})).await;
    assert_eq!(status, 200, "{response}");
    response
}

/// All items of a conversation in the order in which they were said.
async fn items(daemon: &Daemon, id: &str) -> Vec<Value> {
    let (mut items, mut after) = (Vec::new(), String::new());
    loop {
        let (status, list) = get(daemon, &format!("/{id}/items?order=asc&limit=100{after}")).await;
        assert_eq!(status, 200, "{list}");
        items.extend(list["data"].as_array().unwrap().iter().cloned());
        if list["has_more"] == false {
            return items;
        }
        after = format!("&after={}", list["last_id"].as_str().unwrap());
    }
}

/// What was said, in order.
async fn told(daemon: &Daemon, id: &str) -> Vec<String> {
    items(daemon, id).await.iter().map(said).collect()
}

fn said(item: &Value) -> String {
    match item["content"].as_array() {
        Some(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        None => item["type"].as_str().unwrap().to_owned(),
    }
}

/// A conversation's id by its name.
async fn id_of(daemon: &Daemon, name: &str) -> String {
    let (_, list) = answer(client().get(daemon.url(PATH)).query(&[("name", name)])).await;
    list["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned()
}

fn error(answer: (u16, Value)) -> (u16, String, String) {
    let (status, body) = answer;
    let word = |key: &str| body["error"][key].as_str().unwrap_or("-").to_owned();
    (status, word("code"), word("param"))
}

fn not_found() -> (u16, String, String) {
    (404, "conversation_not_found".into(), "id".into())
}

#[tokio::test]
async fn a_conversation_is_made_shown_changed_and_deleted() {
    let daemon = Daemon::rehearsing();
    let (status, made) = send(&daemon, "", &json!({"metadata": {"topic": "demo"}})).await;
    let (id, created_at) = (made["id"].as_str().unwrap(), made["created_at"].as_u64().unwrap());
    let shown =
        |metadata: Value| json!({"id": id, "object": "conversation", "created_at": created_at, "metadata": metadata});
    assert_eq!((status, &made, id.starts_with("conv_")), (200, &shown(json!({"topic": "demo"})), true));
    assert!(created_at > 1_700_000_000);
    let path = format!("/{id}");
    assert_eq!(get(&daemon, &path).await, (200, made.clone()));
    let empty = json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false});
    assert_eq!(get(&daemon, &format!("{path}/items")).await, (200, empty));
    for (metadata, kept) in [(json!({"a": "b"}), json!({"a": "b"})), (Value::Null, json!({}))] {
        assert_eq!(send(&daemon, &path, &json!({"metadata": metadata})).await, (200, shown(kept.clone())));
        assert_eq!(get(&daemon, &path).await, (200, shown(kept)));
    }
    let gone = json!({"id": id, "object": "conversation.deleted", "deleted": true});
    assert_eq!(delete(&daemon, &path).await, (200, gone));
    let answers = [
        get(&daemon, &path).await,
        delete(&daemon, &path).await,
        send(&daemon, &path, &json!({"metadata": {}})).await,
        get(&daemon, &format!("{path}/items")).await,
        get(&daemon, "/%ff").await,
    ];
    assert!(answers.into_iter().all(|answer| error(answer) == not_found()));
}

#[tokio::test]
async fn a_name_is_made_on_its_first_use_and_goes_on_from_its_end() {
    let daemon = Daemon::rehearsing();
    let name = "my project, été 2026 / α";
    let first = say(&daemon, name, "say: One").await;
    let id = id_of(&daemon, name).await;
    assert_eq!((&first["conversation"], &first["previous_response_id"]), (&json!({"id": id}), &Value::Null));
    // As a name, as an id, and as an object.
    for conversation in [json!(name), json!(id), json!({"id": id})] {
        let body = json!({"model": "nuncio", "input": "say: More", "conversation": conversation});
        let events = stream(&daemon, body).await;
        assert_eq!(events.last().unwrap()["response"]["conversation"], json!({"id": id}));
    }
    assert_eq!(
        told(&daemon, &id).await,
        ["say: One", "One", "say: More", "More", "say: More", "More", "say: More", "More"]
    );
    let (status, named) = get(&daemon, &format!("/{id}")).await;
    assert_eq!((status, &named["name"], &named["metadata"]), (200, &json!(name), &json!({})));
    let taken = (409, "conversation_exists".into(), "name".into());
    assert_eq!(error(send(&daemon, "", &json!({"name": name})).await), taken);
    // Gone with the conversation, the name is free for another one.
    assert_eq!(delete(&daemon, &format!("/{id}")).await.0, 200);
    say(&daemon, name, "say: Anew").await;
    let other = id_of(&daemon, name).await;
    assert_eq!((other != id, told(&daemon, &other).await), (true, vec!["say: Anew".into(), "Anew".into()]));
    let seeded = begin(&daemon, json!({"name": "seeded", "items": [{"role": "user", "content": "x"}]})).await;
    assert_eq!((id_of(&daemon, "seeded").await, told(&daemon, &seeded).await), (seeded, vec!["x".to_owned()]));
}

#[tokio::test]
async fn conversations_are_listed_in_pages() {
    let daemon = Daemon::rehearsing();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(begin(&daemon, json!({"metadata": {"number": number.to_string()}})).await);
    }
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let (status, page) = get(&daemon, &format!("?limit=2{after}")).await;
        assert_eq!(
            (status, &page["object"], &page["last_id"]),
            (200, &json!("list"), &page["data"].as_array().unwrap().last().unwrap()["id"])
        );
        after = format!("&after={}", page["last_id"].as_str().unwrap());
        pages.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(pages, ids.iter().rev().cloned().collect::<Vec<_>>());
    let (_, asc) = get(&daemon, &format!("?order=asc&after={}", ids[2])).await;
    assert_eq!((&asc["first_id"], &asc["last_id"], &asc["has_more"]), (&json!(ids[3]), &json!(ids[4]), &json!(false)));
    let (_, none) = get(&daemon, "?name=nobody").await;
    assert_eq!(none["data"], json!([]));
}

#[tokio::test]
async fn what_one_key_has_is_not_there_for_another() {
    let key = |name: &str| format!("{{name: {name}, hash: '{}'}}", KeyHash::of(name));
    let daemon = Daemon::with(&format!("{REHEARSAL}auth: {{keys: [{}, {}]}}\n", key("ann"), key("bob")));
    let ask = async |key: &str, body: Value| {
        answer(client().post(daemon.url("/v1/responses")).bearer_auth(key).json(&body)).await
    };
    let named = json!({"model": "nuncio", "input": "echo: messages", "conversation": "shared"});
    let (_, anns) = ask("ann", named.clone()).await;
    // The same name is another conversation.
    let (_, bobs) = ask("bob", named).await;
    assert_eq!((history(&anns).as_array().unwrap().len(), history(&bobs).as_array().unwrap().len()), (1, 1));
    let id = anns["conversation"]["id"].as_str().unwrap();
    assert_ne!(&bobs["conversation"]["id"], id);
    let answers = async |key: &str| {
        let at = |path: &str| daemon.url(&format!("{PATH}/{id}{path}"));
        let (_, items) = answer(client().get(at("/items")).bearer_auth("ann")).await;
        let item = format!("/items/{}", items["first_id"].as_str().unwrap());
        let message = json!({"items": [{"role": "user", "content": "x"}]});
        let requests = [
            client().get(at("")),
            client().post(at("")).json(&json!({"metadata": {}})),
            client().get(at("/items")),
            client().post(at("/items")).json(&message),
            client().get(at(&item)),
            client().delete(at(&item)),
            client().delete(at("")),
        ];
        let mut statuses = Vec::new();
        for request in requests {
            statuses.push(answer(request.bearer_auth(key)).await.0);
        }
        statuses.push(ask(key, json!({"model": "nuncio", "input": "x", "conversation": id})).await.0);
        statuses
    };
    assert_eq!(answers("bob").await, [404; 8]);
    assert_eq!(answers("ann").await, [200, 200, 200, 200, 200, 200, 200, 404]);
    let (_, left) = answer(client().get(daemon.url(PATH)).bearer_auth("bob")).await;
    assert_eq!(left["data"].as_array().unwrap().len(), 1);
}

/// What the rehearsal was given, without its script.
fn roles(history: &Value) -> Vec<&str> {
    history.as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect()
}
