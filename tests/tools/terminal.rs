use crate::{Desk, settings};
use nuncio::core::ports::tool::ToolError;
use nuncio::sandbox::Supervisor;
use nuncio::tools::{Means, ToolSettings, builtin};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Nothing here takes that long, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

async fn run(desk: &Desk, command: &str) -> String {
    desk.ok("terminal", json!({"command": command})).await
}

#[tokio::test]
async fn the_output_comes_with_how_the_command_ended() {
    let desk = Desk::new();
    let cases = [
        ("echo out; echo err >&2; echo out", "out\nerr\nout\n[exit code 0]"),
        ("printf 'no newline'; exit 3", "no newline\n[exit code 3]"),
        ("true", "[no output]\n[exit code 0]"),
        ("kill -9 $$", "[no output]\n[killed by signal 9]"),
        ("no-such-command 2>/dev/null", "[no output]\n[exit code 127]"),
        ("cat", "[no output]\n[exit code 0]"), // there is no input to wait for
        ("printf 'a\\0b\\377'", "a\u{FFFD}b\u{FFFD}\n[exit code 0]"),
    ];
    for (command, expected) in cases {
        assert_eq!(run(&desk, command).await, expected, "{command}");
    }
}

#[tokio::test]
async fn a_command_starts_in_the_workspace_with_an_environment_of_its_own() {
    let desk = Desk::new();
    let home = desk.workspace.display();
    let path = std::env::var("PATH").unwrap();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something that could leak");
    assert_eq!(
        run(&desk, "env -u _ -u SHLVL -u OLDPWD | sort; pwd").await,
        format!("HOME={home}\nLANG=C.UTF-8\nPATH={path}\nPWD={home}\nTERM=dumb\n{home}\n[exit code 0]")
    );
}

#[tokio::test]
async fn of_a_long_output_head_and_tail_are_kept() {
    let desk = Desk::with(ToolSettings { output_limit: 20, ..settings() });
    assert_eq!(run(&desk, "seq 100000 100999").await, "100000\n100\n[… 6,980 bytes cut …]\n98\n100999\n[exit code 0]");
}

#[tokio::test]
async fn time_is_limited_by_the_call_the_settings_and_the_model() {
    let cases = [(1, Some(600), 60, 1.0), (600, Some(1), 60, 1.0), (600, None, 2, 1.0), (600, Some(600), 1, 0.5)];
    for (setting, asked, left, expected) in cases {
        let desk = Desk::with(ToolSettings { terminal_max_time: Duration::from_secs(setting), ..settings() });
        let mut context = desk.context();
        context.time_limit = Duration::from_secs(left);
        let arguments = json!({"command": "sleep 1000 & wait", "timeout_seconds": asked});
        let parts = timeout(LONG, desk.tools.get("terminal").unwrap().call(arguments, context)).await;
        let text = nuncio::core::item::text_of(&parts.unwrap().unwrap()).into_owned();
        assert_eq!(text, format!("[no output]\n[killed: time limit of {expected} s reached]"));
    }
}

#[tokio::test]
async fn dropping_the_call_kills_the_tree() {
    let desk = Desk::new();
    let command = "setsid sh -c 'trap \"\" TERM; while :; do date +%N > beat; sleep 0.05; done' & wait";
    let beat = || std::fs::read_to_string(desk.workspace.join("beat")).unwrap_or_default();
    let started = async {
        while beat().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = run(&desk, command) => panic!("it ended by itself: {ended}"),
        started = timeout(LONG, started) => started.expect("it starts"),
    }
    // The supervisor needs a moment. After that nothing moves any more.
    let deadline = Instant::now() + LONG;
    loop {
        let before = beat();
        sleep(Duration::from_secs(1)).await;
        if beat() == before {
            return;
        }
        assert!(Instant::now() < deadline, "it is still alive");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_told_or_fatal() {
    let desk = Desk::new();
    assert_eq!(
        desk.told("terminal", json!({"command": "a\0b"})).await,
        "command holds a NUL character, which no command can."
    );
    assert_eq!(
        desk.told("terminal", json!({"command": "x".repeat(131_072)})).await,
        "command is longer than 131,071 bytes. Write it to a file with write_file and run that."
    );
    let fits = run(&desk, &format!(": {}", "x".repeat(131_069))).await;
    assert_eq!(fits, "[no output]\n[exit code 0]");

    let tools = builtin(settings(), Supervisor::new("/no/such/binary"), &Means::default()).unwrap();
    let result = tools.get("terminal").unwrap().call(json!({"command": "true"}), desk.context()).await;
    assert!(matches!(result, Err(ToolError::Fatal(_))), "{result:?}");
}
