//! `/v1/runs`: one view of every run, whichever API has started it.

use crate::support::{Daemon, client};
use serde_json::{Value, json};

async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    let response = client().get(daemon.url(path)).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn post(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    let response = client().post(daemon.url(path)).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The events of a run after a number, as they are told until its end.
async fn events(daemon: &Daemon, id: &str, after: u64) -> Vec<Value> {
    let text = client().get(daemon.url(&format!("/v1/runs/{id}/events?after={after}"))).send().await.unwrap();
    let text = text.text().await.unwrap();
    let frames = text.split("\n\n").filter(|frame| frame.starts_with("id: "));
    frames.map(|frame| serde_json::from_str(frame.split_once("data: ").unwrap().1).unwrap()).collect()
}

fn without_times(mut run: Value) -> Value {
    for field in ["created_at", "ended_at"] {
        run[field] = json!(run[field].is_u64());
    }
    run
}

#[tokio::test]
async fn a_run_is_started_watched_by_many_and_looked_at() {
    let daemon = Daemon::rehearsing();
    let asked = json!({"model": "nuncio", "input": "say: One two\nrun: echo hi; sleep 0.3\nthen\nsay: Done."});
    let (status, run) = post(&daemon, "/v1/runs", &asked).await;
    let id = run["id"].as_str().unwrap().to_owned();
    let answer = id.replace("run_", "resp_");
    let mut expected = json!({
        "id": id, "object": "run", "status": "in_progress", "reason": null, "failure": null, "answer_id": answer,
        "model": "nuncio", "created_at": true, "ended_at": false,
    });
    assert_eq!((status, without_times(run)), (200, expected.clone()));

    let (all, again) = tokio::join!(events(&daemon, &id, 0), events(&daemon, &id, 0));
    assert_eq!(all, again);
    let numbers: Vec<_> = all.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(all.first().unwrap()["event"], "started");
    assert_eq!(all.last().unwrap()["outcome"], json!({"outcome": "completed"}));
    let text: String = all.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert!(text.contains("One two") && text.contains("Done."), "{text}");
    // Whoever comes back gets the rest, also when all is over.
    assert_eq!(events(&daemon, &id, 3).await, all[3..]);

    (expected["status"], expected["ended_at"]) = (json!("completed"), json!(true));
    let (status, run) = get(&daemon, &format!("/v1/runs/{id}")).await;
    assert_eq!((status, without_times(run.clone())), (200, expected));
    // The response is the same run.
    let (_, response) = get(&daemon, &format!("/v1/responses/{answer}")).await;
    assert_eq!((&response["status"], &response["completed_at"]), (&run["status"], &run["ended_at"]));
}

#[tokio::test]
async fn every_run_is_listed_once_from_the_newest_on() {
    let daemon = Daemon::rehearsing();
    let mut ids = Vec::new();
    for number in 0..3 {
        let (_, response) =
            post(&daemon, "/v1/responses", &json!({"model": "nuncio", "input": format!("say: {number}")})).await;
        ids.push(response["id"].as_str().unwrap().replace("resp_", "run_"));
    }
    let chat = json!({"model": "nuncio", "messages": [{"role": "user", "content": "run: sleep 30"}], "stream": true});
    let mut chat = client().post(daemon.url("/v1/chat/completions")).json(&chat).send().await.unwrap();
    chat.chunk().await.unwrap();
    let (_, first) = get(&daemon, "/v1/runs?limit=2").await;
    let live = first["data"][0].clone();
    assert_eq!((&live["status"], &live["answer_id"]), (&json!("in_progress"), &Value::Null));
    let listed = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    let (_, second) = get(&daemon, &format!("/v1/runs?limit=2&after={}", first["last_id"].as_str().unwrap())).await;
    let pages = [listed(&first), listed(&second)].concat();
    ids.push(live["id"].as_str().unwrap().to_owned());
    ids.reverse();
    assert_eq!(pages, ids);
    assert_eq!((&first["has_more"], &second["has_more"]), (&json!(true), &json!(false)));

    // It is stopped down to its processes, and its client is told.
    let (_, stopped) = post(&daemon, &format!("/v1/runs/{}/stop", ids[0]), &json!({})).await;
    assert_eq!(stopped["status"], "cancelled");
    let rest = chat.text().await.unwrap();
    assert!(rest.contains("The run was cancelled"), "{rest}");
    // Nothing was to be kept of it.
    let (status, error) = get(&daemon, &format!("/v1/runs/{}", ids[0])).await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("run_not_found")));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let daemon = Daemon::rehearsing();
    let ask = |more: Value| {
        let mut body = json!({"model": "nuncio", "input": "say: x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, param) in [
        (ask(json!({"background": false})), "background"),
        (ask(json!({"stream": true})), "stream"),
        (ask(json!({"store": false})), "store"),
        (ask(json!({"input": 7})), "input"),
    ] {
        let (status, error) = post(&daemon, "/v1/runs", &body).await;
        assert_eq!((status, error["error"]["param"].as_str()), (400, Some(param)), "{body}: {error}");
    }
    for (path, status, param) in [
        ("/v1/runs?limit=0", 400, "limit"),
        ("/v1/runs?order=asc", 400, "order"),
        ("/v1/runs?after=resp_1", 400, "after"),
        ("/v1/runs/run_1", 404, "id"),
        ("/v1/runs/run_0192aaaaaaaa7aaaaaaaaaaaaaaaaaaa/events", 404, "id"),
    ] {
        let (got, error) = get(&daemon, path).await;
        assert_eq!((got, error["error"]["param"].as_str()), (status, Some(param)), "{path}: {error}");
    }
}
