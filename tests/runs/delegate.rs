//! Tasks that a run hands on: who does them, with what, and how they end.

use crate::client::{Client, stream};
use crate::processes::Stubborn;
use crate::support::{Daemon, client};
use crate::upstream::{Act, Request, Server, accepted, calls, says, turn, usage, whole};
use crate::{ask, with};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A daemon for one run at a time, whose `lead` may hand tasks to `helper`. What is set is the inside of a YAML mapping.
fn daemon(upstream: &Server, lead: &str, helper: &str) -> Daemon {
    Daemon::with(&format!(
        "server: {{max_runs: 1}}\n\
         upstreams: {{default: {{base_url: '{}', retry_base_delay: 1ms, max_retries: 0}}}}\n\
         profiles:\n\
         \x20 lead: {{model: lead, default: true, instructions: You lead., delegates: [helper], {lead}}}\n\
         \x20 helper: {{model: helper, instructions: You count., description: counts things, {helper}}}\n",
        upstream.base_url
    ))
}

fn lead(question: &str) -> Value {
    with(ask(question), json!({"model": "lead"}))
}

fn hand_on(task: &str) -> Act {
    calls(0, "d", "delegate", &json!({"profile": "helper", "task": task}))
}

fn model(request: &Request) -> &str {
    request.body["model"].as_str().unwrap()
}

fn messages(request: &Request) -> &[Value] {
    request.body["messages"].as_array().unwrap()
}

fn outputs(request: &Request) -> Vec<&str> {
    let outputs = messages(request).iter().filter(|message| message["role"] == "tool");
    outputs.map(|message| message["content"].as_str().unwrap()).collect()
}

fn tools(request: &Request) -> BTreeSet<&str> {
    let tools = request.body["tools"].as_array().into_iter().flatten();
    tools.map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
}

/// What the frames of a stream say that is done.
fn activity(frames: &[String]) -> Vec<String> {
    let chunks = frames.iter().filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok());
    let lines = chunks.filter_map(|chunk| Some(chunk["event"]["data"]["description"].as_str()?.to_owned()));
    lines.filter(|line| !line.is_empty()).collect()
}

/// An upstream whose `lead` hands a task on and then ends, and whose `helper` does what is said here.
async fn with_helper(helper: impl Fn(&Request) -> Vec<Act> + Send + Sync + 'static) -> Server {
    Server::directed(move |_, request: &Request| match (model(request), outputs(request).len()) {
        ("lead", 0) => turn([hand_on("Count.")], "tool_calls"),
        ("lead", _) => turn([says("So be it.")], "stop"),
        _ => helper(request),
    })
    .await
}

#[tokio::test]
async fn another_profile_does_it_in_the_same_workspace_and_under_the_same_permit() {
    let upstream = Server::directed(|_, request: &Request| match (model(request), outputs(request).len()) {
        ("lead", 0) => turn([hand_on("Count."), usage(1, 2)], "tool_calls"),
        ("helper", 0) => {
            let command = json!({"command": "echo three > made.txt"});
            turn([says("First I look."), calls(0, "t", "terminal", &command), usage(10, 20)], "tool_calls")
        }
        ("helper", _) => turn([says("It is in made.txt."), usage(100, 200)], "stop"),
        ("lead", 1) => {
            turn([calls(0, "r", "read_file", &json!({"path": "made.txt"})), usage(1000, 2000)], "tool_calls")
        }
        _ => turn([says("Three."), usage(10_000, 20_000)], "stop"),
    })
    .await;
    let daemon = daemon(&upstream, "", "");
    let tool = json!({"type": "function", "function": {"name": "ask"}});
    let fields = json!({"tools": [tool], "stream_options": {"include_usage": true}});
    let frames = stream(&daemon, &with(lead("How many?"), fields)).await;

    let requests = upstream.requests();
    assert_eq!(requests.iter().map(model).collect::<Vec<_>>(), ["lead", "helper", "helper", "lead", "lead"]);
    let told = [json!({"role": "system", "content": "You count."}), json!({"role": "user", "content": "Count."})];
    assert_eq!(messages(&requests[1]), told);
    let difference: Vec<_> = tools(&requests[0]).symmetric_difference(&tools(&requests[1])).copied().collect();
    assert_eq!(difference, ["ask", "delegate"]);
    assert_eq!(outputs(&requests[4]), ["It is in made.txt.", "1\tthree\n[1 line]"]);
    let lines = ["delegate: helper: Count.", "delegate: helper: terminal echo three > made.txt", "read_file: made.txt"];
    assert_eq!(activity(&frames), lines);
    let shown = frames.concat();
    assert!(!shown.contains("First I look."), "the helper's words are no part of the answer");
    assert!(shown.contains(r#""prompt_tokens":11111,"completion_tokens":22222"#), "{shown}");
}

/// Each task has another one done, as long as that is allowed: the first run may hand on four in all, each run one at a
/// time, and those two levels below none.
#[tokio::test]
async fn depth_and_number_are_bounded() {
    let upstream = Server::directed(|_, request: &Request| {
        let (task, told) = (messages(request)[0]["content"].as_str().unwrap(), outputs(request).len());
        let hand_on =
            |n: usize, task: &str| calls(n, &format!("c{n}"), "delegate", &json!({"profile": "self", "task": task}));
        match (task, told) {
            ("go", 0) => turn((0..3).map(|n| hand_on(n, &format!("task {n}"))).collect::<Vec<_>>(), "tool_calls"),
            (task, 0) if task.starts_with("task") => turn([hand_on(0, "deeper")], "tool_calls"),
            ("deeper", 0) => turn([hand_on(0, "too deep")], "tool_calls"),
            _ => turn([says("done")], "stop"),
        }
    })
    .await;
    let limits = "{delegate_depth: 2, delegate_total: 4, delegate_at_once: 1}";
    let daemon = Daemon::with(&format!(
        "upstreams: {{default: {{base_url: '{}', model: m}}}}\n\
         profiles: {{self: {{delegates: [self], limits: {limits}}}}}\n",
        upstream.base_url
    ));
    stream(&daemon, &with(ask("go"), json!({"model": "self"}))).await;

    let requests = upstream.requests();
    let of = |task: &str| requests.iter().filter(|request| messages(request)[0]["content"] == task).collect::<Vec<_>>();
    assert_eq!(outputs(of("go")[1]), ["done"; 3]);
    let [before, after] = of("deeper")[..] else { panic!("{:?}", requests.len()) };
    assert!(!tools(before).contains("delegate"));
    assert!(outputs(after)[0].starts_with("There is no tool named `delegate`."), "{:?}", outputs(after));
    let mut told: Vec<&str> = (0..3).flat_map(|n| outputs(of(&format!("task {n}"))[1])).collect();
    told.sort_unstable();
    let refused = "Not delegated: 4 tasks were handed on in this run, and no more may be. Do the rest yourself.";
    assert_eq!(told, [refused, refused, "done"]);
    // One after the other: what is asked for one task is not mixed with what is asked for another.
    let mut order: Vec<&str> = requests.iter().filter_map(|request| messages(request)[0]["content"].as_str()).collect();
    order.retain(|task| task.starts_with("task"));
    assert!(order.chunks(2).all(|two| two[0] == two[1]), "{order:?}");
}

#[tokio::test]
async fn the_lead_is_told_how_a_task_ended_that_was_not_done() {
    let refuses = |_: &Request| whole("400 Bad Request", "", r#"{"error":{"message":"no such thing"}}"#);
    let looks = |request: &Request| match request.body["tools"].is_null() {
        false => turn([says("I look."), calls(0, "l", "list_files", &json!({}))], "tool_calls"),
        true => turn([says("I saw half.")], "stop"),
    };
    let dawdles = |request: &Request| match request.body["tools"].is_null() {
        false => vec![Act::Hold],
        true => turn([says("No time.")], "stop"),
    };
    let stays = "What it did until then stays done.";
    let last = format!("{stays} The last it said:\n\n");
    let cases = [
        (with_helper(refuses).await, "", "", "helper failed: "),
        (
            with_helper(looks).await,
            "",
            "limits: {steps: 1}",
            &format!("helper has used up all its steps. {last}I saw half."),
        ),
        (
            with_helper(dawdles).await,
            "",
            "limits: {wall_time: 200ms}",
            &format!("helper has used up its time. {last}No time."),
        ),
        (with_helper(|_| turn([], "stop")).await, "", "", "[helper is done and has said nothing]"),
        // It says nothing even when its time is over, and the lead still has time for a word.
        (
            with_helper(|_| vec![Act::Hold]).await,
            "limits: {wall_time: 3s}",
            "",
            &format!("helper has used up its time. {stays} It had said nothing yet."),
        ),
    ];
    for (upstream, of_lead, of_helper, expected) in &cases {
        let daemon = daemon(upstream, of_lead, of_helper);
        let frames = stream(&daemon, &lead("Go")).await;
        let requests = upstream.requests();
        let told = outputs(requests.iter().rfind(|request| model(request) == "lead").unwrap());
        assert!(told.len() == 1 && told[0].starts_with(expected), "{expected}: {told:?}");
        assert!(frames.concat().contains("So be it."), "{expected}");
    }
}

/// It is a run among those of its principal, and ends with the one above it.
#[tokio::test]
async fn a_task_can_be_stopped_by_itself() {
    let upstream = with_helper(|_| vec![accepted(), says("I begin."), Act::Hold]).await;
    let daemon = daemon(&upstream, "", "");
    let mut reader = Client::post(&daemon, &lead("Go")).await;
    assert_eq!(reader.head().await.status, 200);
    upstream.asked(2).await;
    let http = client();
    let list: Value = http.get(daemon.url("/v1/runs")).send().await.unwrap().json().await.unwrap();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|run| (&run["model"], run["id"].as_str())).collect();
    let (_, Some(child)) = *ids.iter().find(|(model, _)| **model == "helper").unwrap() else { panic!("{list}") };
    let stopped = http.post(daemon.url(&format!("/v1/runs/{child}/stop"))).send().await.unwrap();
    assert_eq!(stopped.status(), 200);
    assert!(reader.rest().await.concat().contains("So be it."));
    let requests = upstream.requests();
    let told = outputs(requests.last().unwrap());
    assert!(told[0].starts_with("helper was stopped. What it did until then stays done."), "{told:?}");
}

#[tokio::test]
async fn when_the_client_leaves_nothing_of_the_task_is_left() {
    let stubborn = Stubborn::new();
    let arguments = stubborn.arguments();
    let works = with_helper(move |_| turn([calls(0, "t", "terminal", &arguments)], "tool_calls")).await;
    let daemon_of_works = daemon(&works, "", "");
    let mut leaving = Client::post(&daemon_of_works, &lead("Go")).await;
    assert_eq!(leaving.head().await.status, 200);
    stubborn.up().await;
    drop(leaving);
    stubborn.gone().await;
    let dropped = || daemon_of_works.log().lines().any(|line| line.contains("dropped") && line.contains("parent"));
    let told = async {
        while !dropped() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, told).await.expect("the log is told of the task's end");

    let speaks = with_helper(|_| vec![accepted(), says("I begin."), Act::Hold]).await;
    let daemon = daemon(&speaks, "", "");
    let mut leaving = Client::post(&daemon, &lead("Go")).await;
    assert_eq!(leaving.head().await.status, 200);
    speaks.asked(2).await;
    drop(leaving);
    speaks.hung_up(1).await;
    // And with it the place that it had: the daemon takes one run at a time.
    let again = async {
        while Client::post(&daemon, &lead("Go")).await.head().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, again).await.unwrap();
}
