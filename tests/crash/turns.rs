//! 64 clients at once on what they share: no turn is lost, and nobody gets another's answer.

use crate::harness::House;
use crate::support::client;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CLIENTS: usize = 64;

fn house() -> House {
    House::new("server: {max_runs: 128}\n")
}

async fn ask(house: &House, body: Value) -> Value {
    let response = client().post(house.daemon().url("/v1/responses")).json(&body).send().await.unwrap();
    let (status, answer) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{answer}");
    answer
}

fn text(response: &Value) -> &str {
    let message = response["output"].as_array().unwrap().iter().find(|item| item["type"] == "message");
    message.unwrap()["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn on_one_chain_each_has_a_branch_of_its_own() {
    let house = house();
    let root = ask(&house, json!({"model": "nuncio", "input": "say: root"})).await;
    let turns = join_all((0..CLIENTS).map(async |number| {
        let first =
            json!({"model": "nuncio", "input": format!("say: client-{number}."), "previous_response_id": root["id"]});
        let first = ask(&house, first).await;
        assert_eq!(text(&first), format!("client-{number}."));
        ask(&house, json!({"model": "nuncio", "input": "echo: messages", "previous_response_id": first["id"]})).await
    }))
    .await;
    for (number, turn) in turns.iter().enumerate() {
        let seen: BTreeSet<&str> =
            text(turn).split("client-").skip(1).map(|rest| rest.split('.').next().unwrap()).collect();
        assert_eq!(seen, BTreeSet::from([number.to_string().as_str()]), "{}", text(turn));
        assert!(text(turn).contains("root"));
    }
}

#[tokio::test]
async fn in_one_conversation_each_has_its_turn() {
    let house = house();
    let said = join_all((0..CLIENTS).map(async |number| {
        let input = format!("say: turn-{number}.");
        ask(&house, json!({"model": "nuncio", "input": input, "conversation": "shared"})).await
    }))
    .await;
    let words: Vec<_> = said.iter().map(|turn| text(turn).to_owned()).collect();
    assert_eq!(words, (0..CLIENTS).map(|number| format!("turn-{number}.")).collect::<Vec<_>>());
    let id = said[0]["conversation"]["id"].as_str().unwrap();
    // All of them are there, and each answer stands behind its question.
    let mut texts = Vec::new();
    let mut after = String::new();
    loop {
        let url = house.daemon().url(&format!("/v1/conversations/{id}/items?order=asc&limit=100{after}"));
        let page: Value = client().get(url).send().await.unwrap().json().await.unwrap();
        let items = page["data"].as_array().unwrap();
        texts.extend(items.iter().map(|item| item["content"][0]["text"].as_str().unwrap().to_owned()));
        if page["has_more"] != true {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(texts.len(), 2 * CLIENTS);
    for turn in texts.chunks(2) {
        assert_eq!(turn[0], format!("say: {}", turn[1]));
    }
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 2 * CLIENTS);
}

#[tokio::test]
async fn on_chains_of_their_own_nobody_sees_another() {
    let house = house();
    join_all((0..CLIENTS).map(async |number| {
        let mut previous = Value::Null;
        for turn in 0..4 {
            let input = format!("say: c{number}t{turn}.");
            let said = ask(&house, json!({"model": "nuncio", "input": input, "previous_response_id": previous})).await;
            assert_eq!(text(&said), format!("c{number}t{turn}."));
            previous = said["id"].clone();
        }
        let last = json!({"model": "nuncio", "input": "echo: messages", "previous_response_id": previous});
        let all = ask(&house, last).await;
        let mine: Vec<_> = (0..4).map(|turn| format!("c{number}t{turn}.")).collect();
        let said: Vec<&str> = text(&all).split('"').filter(|piece| mine.iter().any(|mine| mine == piece)).collect();
        assert_eq!(said, mine, "{}", text(&all));
    }))
    .await;
}
