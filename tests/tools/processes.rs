//! Commands in the background, as a model works with them: real processes, under the real supervisor.

use crate::terminal::outputs;
use crate::{Desk, process_limits, settings};
use nuncio::core::ports::tool::ToolError;
use nuncio::tools::ToolSettings;
use nuncio::tools::terminal::processes::ProcessLimits;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Nothing here takes that long, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// Starts a command, and gives the answer to it with the id of the process.
async fn start(desk: &Desk, command: &str) -> (String, String) {
    let answer = desk.ok("terminal", json!({"command": command, "background": true})).await;
    let (_, state) = answer.rsplit_once('[').unwrap();
    let id = state.split(' ').next().unwrap().to_owned();
    (answer, id)
}

async fn process(desk: &Desk, action: &str, id: &str, more: Value) -> String {
    let mut arguments = json!({"action": action, "id": id, "wait_seconds": 20});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    desk.ok("process", arguments).await
}

/// Polls until the process has ended.
async fn end_of(desk: &Desk, id: &str) -> String {
    let mut all = String::new();
    loop {
        all += &timeout(LONG, process(desk, "poll", id, json!({}))).await.expect("it ends");
        if all.contains(" ended: ") {
            return all;
        }
    }
}

/// Waits until no process has the word in its command line, other than the shells that were told to start it.
async fn gone(word: &str) {
    let deadline = Instant::now() + LONG;
    let alive = || {
        let mut pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        pids.any(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(word)))
    };
    while alive() {
        assert!(Instant::now() < deadline, "{word} is still alive");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A word for the command line of a process that no other test has.
fn word() -> String {
    format!("w{}", uuid::Uuid::now_v7().simple())
}

#[tokio::test]
async fn a_process_is_started_polled_fed_read_and_ends() {
    let desk = Desk::new();
    let (started, id) = start(&desk, "echo up; while read line; do echo \"got $line\"; done; echo bye; exit 3").await;
    assert_eq!(started, format!("up\n[{id} is running; 3 bytes of output so far]"));
    let answered = process(&desk, "write", &id, json!({"input": "one\n"})).await;
    assert_eq!(answered, format!("got one\n[{id} is running; 11 bytes of output so far]"));
    let nothing = process(&desk, "poll", &id, json!({"wait_seconds": 0})).await;
    assert_eq!(nothing, format!("[no new output]\n[{id} is running; 11 bytes of output so far]"));
    let listed = desk.ok("process", json!({"action": "list"})).await;
    let command = "echo up; while read line; do echo \"got $line\"; done; echo bye; exit 3";
    assert_eq!(listed, format!("{id} is running; 11 bytes of output so far: {command}"));

    let last = process(&desk, "write", &id, json!({"input": "two", "end_input": true})).await;
    let rest = if last.contains(" ended: ") { String::new() } else { end_of(&desk, &id).await };
    assert!((last + &rest).ends_with(&format!("bye\n[{id} ended: exit code 3; 15 bytes of output]")));
    assert_eq!(
        process(&desk, "read", &id, json!({"offset": 3})).await,
        format!("got one\nbye\n[{id} ended: exit code 3; 15 bytes of output]")
    );
    let too_late = desk.told("process", json!({"action": "write", "id": id, "input": "three"})).await;
    assert_eq!(too_late, format!("Nothing was written. [{id} ended: exit code 3; 15 bytes of output]"));
}

#[tokio::test]
async fn a_process_is_asked_to_end_or_killed_with_all_it_started() {
    let desk = Desk::new();
    let script = "trap 'echo no' INT; trap 'echo yes; exit 4' TERM; echo up; while :; do sleep 0.01; done 2>/dev/null";
    let (_, id) = start(&desk, script).await;
    let told = process(&desk, "kill", &id, json!({"signal": "interrupt", "wait_seconds": 0})).await;
    let shown = if told.starts_with("no") { told } else { process(&desk, "poll", &id, json!({})).await };
    assert_eq!(shown, format!("no\n[{id} is running; 6 bytes of output so far]"));
    let ended = process(&desk, "kill", &id, json!({"signal": "terminate"})).await;
    assert_eq!(ended, format!("yes\n[{id} ended: exit code 4; 10 bytes of output]"));

    let word = word();
    let (_, id) = start(&desk, &format!("trap '' TERM INT; setsid sh -c 'sleep 1000; : {word}' & echo up; wait")).await;
    let killed = process(&desk, "kill", &id, json!({})).await;
    assert_eq!(killed, format!("[no new output]\n[{id} ended: killed; 3 bytes of output]"));
    gone(&word).await;
}

#[tokio::test]
async fn of_much_output_the_last_is_shown_and_the_rest_can_be_read() {
    let desk = Desk::with(ToolSettings { output_limit: 20, ..settings() });
    let (_, id) = start(&desk, "read line; seq 1000 1999; read line; head -c 200000 /dev/zero | tr '\\0' x").await;
    let mut answer = process(&desk, "write", &id, json!({"input": "\n"})).await;
    while !answer.contains("5,000 bytes") {
        answer = process(&desk, "poll", &id, json!({})).await;
    }
    assert!(answer.ends_with(&format!("1999\n[{id} is running; 5,000 bytes of output so far]")), "{answer}");
    assert_eq!(
        process(&desk, "read", &id, json!({"offset": 10})).await,
        format!("1002\n1003\n1004\n1005\n[{id} is running; 5,000 bytes of output so far]\n[offset=30 goes on]")
    );
    process(&desk, "write", &id, json!({"input": "\n"})).await;
    process(&desk, "kill", &id, json!({"signal": "interrupt", "wait_seconds": 0})).await;
    end_of(&desk, &id).await;
    let start = process(&desk, "read", &id, json!({"offset": 10})).await;
    assert!(start.starts_with("[… the output before byte "), "{start}");
}

#[tokio::test]
async fn output_that_never_pauses_holds_up_no_look() {
    let desk = Desk::new();
    let (_, id) = start(&desk, "while :; do echo x; sleep 0.01; done").await;
    let look = process(&desk, "poll", &id, json!({"wait_seconds": 50}));
    timeout(LONG, look).await.expect("there is something to show");
}

#[tokio::test]
async fn what_is_not_kept_here_is_in_a_file() {
    let whole: String = (100_000..150_000).map(|number| format!("{number}\n")).collect();
    for (max, kept) in [(16 << 20, "350,000"), (200_000, "200,000")] {
        let desk = Desk::with(ToolSettings { terminal_max_output: max, ..settings() });
        let (_, id) = start(&desk, "seq 100000 149999").await;
        end_of(&desk, &id).await;
        let answer = process(&desk, "read", &id, json!({})).await;
        let (told, shown) = answer.split_once('\n').unwrap();
        let [file] = &*outputs(&desk) else { panic!("one file") };
        let before = whole.len() - 128 * 1024;
        let expected = format!(
            "[… the output before byte {before} cannot be read here any more; the first {kept} bytes of the output are \
             in `{file}` …]"
        );
        assert_eq!(told, expected);
        assert!(shown.starts_with(&whole[before..before + 1000]), "{shown}");
        assert_eq!(desk.content(file), whole[..whole.len().min(max as usize)]);
    }
}

#[tokio::test]
async fn a_session_knows_its_own_processes_alone() {
    let mut desk = Desk::new();
    let (_, id) = start(&desk, "sleep 1000").await;
    desk.session = "s2";
    let of_others = [
        desk.told("process", json!({"action": "poll", "id": id})).await,
        desk.told("process", json!({"action": "kill", "id": id})).await,
        // What came before a restart is told in the same words.
        desk.told("process", json!({"action": "poll", "id": id})).await,
    ];
    let gone = format!(
        "There is no process `{id}`. The server was restarted since it was started, or nothing was asked of the \
         terminal in this conversation for 10 min: it has ended, and its output is gone. Start it again if it is needed."
    );
    assert_eq!(of_others, [&*gone, &gone, &gone]);
    assert_eq!(desk.ok("process", json!({"action": "list"})).await, "[no processes]");
    desk.session = "s1";
    let state = process(&desk, "poll", &id, json!({"wait_seconds": 0})).await;
    assert_eq!(state, format!("[no new output]\n[{id} is running; 0 bytes of output so far]"));
}

#[tokio::test]
async fn there_are_so_many_at_once_and_of_the_ended_the_last_are_kept() {
    let desk = Desk::of(settings(), ProcessLimits { per_session: 1, ..process_limits() });
    let mut ids = Vec::new();
    for _ in 0..9 {
        let (_, id) = start(&desk, "true").await;
        end_of(&desk, &id).await;
        ids.push(id);
    }
    let (_, last) = start(&desk, "sleep 1000").await;
    let refused = desk.told("terminal", json!({"command": "true", "background": true})).await;
    assert_eq!(
        refused,
        "Not started: this conversation has 1 running already, the most there may be. End one with process, action \
         `kill`."
    );
    let forgotten = desk.told("process", json!({"action": "poll", "id": ids[0]})).await;
    let expected = format!("There is no process `{}` any more: of those that have ended, the last 8 are kept.", ids[0]);
    assert_eq!(forgotten, expected);
    let listed = desk.ok("process", json!({"action": "list"})).await;
    let listed: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(listed, [&ids[1..], &[last]].concat());
}

#[tokio::test]
async fn the_processes_of_an_idle_session_end_and_so_do_those_of_a_daemon_that_stops() {
    let limits = ProcessLimits { idle_time: Duration::from_millis(500), ..process_limits() };
    let desk = Desk::of(settings(), limits);
    let idle = word();
    let (_, id) = start(&desk, &format!("echo up; sleep 1000; : {idle}")).await;
    gone(&idle).await;
    let told = desk.told("process", json!({"action": "poll", "id": id})).await;
    assert!(told.contains("or nothing was asked of the terminal in this conversation for 0.5 s"), "{told}");

    let desk = Desk::new();
    let stopped = word();
    start(&desk, &format!("trap '' TERM; echo up; sleep 1000; : {stopped}")).await;
    desk.processes.end().await;
    gone(&stopped).await;
    let refused = desk.told("terminal", json!({"command": "true", "background": true})).await;
    assert_eq!(refused, "Not started: the server is stopping.");
}

#[tokio::test]
async fn no_process_outlives_its_time_or_a_start_that_nobody_waited_for() {
    let desk = Desk::of(settings(), ProcessLimits { lifetime: Duration::from_millis(300), ..process_limits() });
    let (_, id) = start(&desk, "sleep 1000").await;
    let ended = end_of(&desk, &id).await;
    assert!(
        ended.ends_with("ended: killed: it ran for 0.3 s, the longest there may be; 0 bytes of output]"),
        "{ended}"
    );

    let desk = Desk::new();
    let word = word();
    let up = desk.workspace.join("up");
    let call = desk.call("terminal", json!({"command": format!("> up; sleep 1000; : {word}"), "background": true}));
    let started = async {
        while !up.exists() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        biased;
        answer = call => panic!("it waits for output: {answer:?}"),
        started = timeout(LONG, started) => started.expect("it starts"),
    }
    gone(&word).await;
}

#[tokio::test]
async fn what_is_missing_or_unknown_is_said() {
    let desk = Desk::new();
    let (_, id) = start(&desk, "exec < /dev/null; echo up; sleep 1000").await;
    let cases = [
        (
            json!({"action": "poll"}),
            "id is missing: the process, such as `p1-3f2a`. Action `list` shows them.".to_owned(),
        ),
        (
            json!({"action": "write", "id": id}),
            "input is missing: the text to write, or end_input to close its input.".to_owned(),
        ),
        (
            json!({"action": "poll", "id": "7"}),
            "There is no process `7`. Action `list` shows those there are.".to_owned(),
        ),
        (
            json!({"action": "write", "id": id, "input": "x".repeat(10)}),
            format!("Its input is closed: 0 of 10 bytes were written. [{id} is running; 3 bytes of output so far]"),
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(desk.told("process", arguments.clone()).await, expected, "{arguments}");
    }
    let failed = desk.call("process", json!({"action": "stop", "id": id})).await;
    assert!(matches!(failed, Err(ToolError::TellModel(_))), "{failed:?}");
}
