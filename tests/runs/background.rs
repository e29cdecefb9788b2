//! Commands in the background, through the running daemon: across the requests of a session, and to their end.

use crate::processes::Stubborn;
use crate::support::{Daemon, client, command};
use crate::upstream::{Act, Request, Server, accepted, calls, data, end, says, stream, turn};
use crate::{Settings, daemon};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Nothing here takes that long, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// An upstream that calls the tool that a question is the name and arguments of, and waits in the middle of the answer
/// to any other.
async fn upstream() -> Server {
    Server::directed(|_, request: &Request| {
        let asked = serde_json::from_str::<Value>(request.last());
        match (request.body["messages"].as_array().unwrap().last().unwrap()["role"].as_str(), asked) {
            (Some("user"), Ok(Value::Array(asked))) => {
                turn([calls(0, "c", asked[0].as_str().unwrap(), &asked[1])], "tool_calls")
            }
            (Some("user"), Err(_)) if request.last() == "tell" => {
                vec![accepted(), says("Once"), Act::Wait, says(" upon"), data("[DONE]"), end()]
            }
            _ => stream("Done."),
        }
    })
    .await
}

fn body(tool: &str, arguments: &Value) -> Value {
    let question = json!([tool, arguments]).to_string();
    json!({"model": "nuncio", "messages": [{"role": "user", "content": question}]})
}

/// What the model is told of one call, in a request of its own.
async fn call(upstream: &Server, daemon: &Daemon, session: &str, tool: &str, arguments: Value) -> String {
    let request = client().post(daemon.url("/v1/chat/completions")).header("x-nuncio-session", session);
    let response = request.json(&body(tool, &arguments)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap();
    let request = upstream.requests().pop().unwrap();
    let messages = request.body["messages"].as_array().unwrap().clone();
    let told = messages.iter().rfind(|message| message["role"] == "tool").unwrap();
    told["content"].as_str().unwrap().to_owned()
}

/// Starts a stubborn command in the background, and gives its id.
async fn start(upstream: &Server, daemon: &Daemon, stubborn: &Stubborn) -> String {
    let mut arguments = stubborn.arguments();
    arguments["background"] = true.into();
    let started = call(upstream, daemon, "one", "terminal", arguments).await;
    stubborn.up().await;
    id_in(&started)
}

/// The id in the line that says how things stand.
fn id_in(told: &str) -> String {
    told.rsplit_once('[').unwrap().1.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_process_goes_on_between_the_requests_of_its_session_alone() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let echo = json!({"command": "while read line; do echo \"got $line\"; done", "background": true});
    let id = id_in(&call(&upstream, &daemon, "one", "terminal", echo).await);
    let write = json!({"action": "write", "id": id, "input": "this\n", "wait_seconds": 20});
    let answered = call(&upstream, &daemon, "one", "process", write.clone()).await;
    assert_eq!(answered, format!("got this\n[{id} is running; 9 bytes of output so far]"));

    let of_another = call(&upstream, &daemon, "two", "process", write).await;
    assert!(of_another.starts_with(&format!("There is no process `{id}`.")), "{of_another}");
    let listed = call(&upstream, &daemon, "two", "process", json!({"action": "list"})).await;
    assert_eq!(listed, "[no processes]");
    let killed = call(&upstream, &daemon, "one", "process", json!({"action": "kill", "id": id})).await;
    assert_eq!(killed, format!("[no new output]\n[{id} ended: killed; 9 bytes of output]"));
}

/// Between its supervisor and a command there may be the first process of its namespaces.
#[tokio::test]
async fn a_signal_reaches_a_process_through_its_sandbox() {
    let upstream = upstream().await;
    for profile in ["sandbox: 'off'", "sandbox: workspace"] {
        let daemon = daemon(&upstream, &Settings { profile, ..Settings::default() });
        let script = "trap 'echo told; exit 5' INT; echo up; while :; do sleep 0.01; done 2>/dev/null";
        let begin = json!({"command": script, "background": true});
        let id = id_in(&call(&upstream, &daemon, "one", "terminal", begin).await);
        let interrupt = json!({"action": "kill", "id": id, "signal": "interrupt", "wait_seconds": 20});
        let ended = call(&upstream, &daemon, "one", "process", interrupt).await;
        assert!(ended.ends_with(&format!("told\n[{id} ended: exit code 5; 8 bytes of output]")), "{profile}: {ended}");
    }
}

#[tokio::test]
async fn an_idle_session_loses_its_processes() {
    let upstream = upstream().await;
    let daemon = Daemon::with(&format!(
        "upstreams: {{default: {{base_url: '{}', model: m}}}}\ntools: {{terminal: {{idle_time: 4s}}}}\n",
        upstream.base_url
    ));
    let stubborn = Stubborn::new();
    let id = start(&upstream, &daemon, &stubborn).await;
    stubborn.gone_in(LONG).await;
    let told = call(&upstream, &daemon, "one", "process", json!({"action": "poll", "id": id})).await;
    assert!(told.contains("nothing was asked of the terminal in this conversation for 4 s"), "{told}");
}

/// A run in flight may still need them.
#[tokio::test]
async fn a_daemon_that_stops_ends_them_after_its_runs() {
    let upstream = upstream().await;
    let mut daemon = daemon(&upstream, &Settings::default());
    let stubborn = Stubborn::new();
    start(&upstream, &daemon, &stubborn).await;
    let asked = upstream.count();
    let tell = json!({"model": "nuncio", "messages": [{"role": "user", "content": "tell"}]});
    let run = client().post(daemon.url("/v1/chat/completions")).json(&tell).send();
    let stop = async {
        upstream.asked(asked + 1).await;
        daemon.signal(Signal::TERM);
        while client().get(daemon.url("/health")).send().await.unwrap().status() == 200 {
            sleep(Duration::from_millis(10)).await;
        }
        stubborn.up().await;
        upstream.go();
    };
    let (answer, ()) = tokio::join!(run, stop);
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Once upon");
    let begun = Instant::now();
    while !daemon.has_ended() {
        assert!(begun.elapsed() < LONG, "the daemon goes on: {}", daemon.log());
        sleep(Duration::from_millis(10)).await;
    }
    assert!(daemon.ended().success());
    // Not a moment later: the daemon has waited for their end.
    stubborn.gone_in(Duration::ZERO).await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_takes_them_along_and_the_next_one_says_so() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let stubborn = Stubborn::new();
    let id = start(&upstream, &daemon, &stubborn).await;
    let folder = daemon.killed();
    stubborn.gone().await;
    let daemon = Daemon::of(command(folder.path()), folder);
    let told = call(&upstream, &daemon, "one", "process", json!({"action": "poll", "id": id})).await;
    assert_eq!(
        told,
        format!(
            "There is no process `{id}`. The server was restarted since it was started, or nothing was asked of the \
             terminal in this conversation for 30 min: it has ended, and its output is gone. Start it again if it is \
             needed."
        )
    );
}

#[tokio::test]
async fn of_long_output_the_model_reads_the_rest_in_a_later_request() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream, &Settings::default());
    let told = call(&upstream, &daemon, "one", "terminal", json!({"command": "seq 20000"})).await;
    let (_, last) = told.rsplit_once("[all of the output is in `").unwrap();
    let (path, rest) = last.split_once("`; read_file with offset=").unwrap();
    let offset: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    let read = json!({"path": path, "offset": offset, "limit": 2});
    let read = call(&upstream, &daemon, "one", "read_file", read).await;
    let next = offset + 1;
    let lines = format!("lines {}-{} of 20,000", grouped(offset), grouped(next));
    assert_eq!(read, format!("{offset}\t{offset}\n{next}\t{next}\n[{lines}; offset={} goes on]", next + 1));
}

/// As numbers are shown.
fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}
