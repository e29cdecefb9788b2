use crate::{Desk, names, settings};
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
        (
            "ulimit -S -t 1; while :; do :; done",
            "[no output]\n[killed by signal 24: its processor time is used up (sandbox.cpu_time)]",
        ),
        (
            "ulimit -S -f 1; exec head -c 99999 /dev/zero > large",
            "[no output]\n[killed by signal 25: a file became larger than it may (sandbox.file_size)]",
        ),
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
    let answer = run(&desk, "seq 100000 100999").await;
    let (shown, rest) = answer.rsplit_once('\n').unwrap();
    assert_eq!(shown, "100000\n100\n[… 6,980 bytes cut …]\n98\n100999\n[exit code 0]");
    let [file] = &*outputs(&desk) else { panic!("one file") };
    assert_eq!(rest, format!("[all of the output is in `{file}`; read_file with offset=2 goes on where it was cut]"));
    let whole: String = (100000..101000).map(|number| format!("{number}\n")).collect();
    assert_eq!(desk.content(file), whole);
}

#[tokio::test]
async fn in_a_line_that_read_file_would_cut_a_command_reads_on() {
    let desk = Desk::with(ToolSettings { output_limit: 6000, ..settings() });
    let answer = run(&desk, "seq -s, 1000 9999").await;
    let [file] = &*outputs(&desk) else { panic!("one file") };
    let command = format!("tail -c +3001 {file} | head -c 6000");
    let line = format!("[all of the output is in `{file}`; `{command}` goes on where it was cut]");
    assert_eq!(answer.lines().last(), Some(&*line));
    let more = run(&desk, &command).await;
    assert!(more.starts_with("1600,1601,") && more.ends_with(",2799,\n[exit code 0]"), "{more}");
}

/// The files of long output, as they are named to a model, the oldest first.
pub fn outputs(desk: &Desk) -> Vec<String> {
    let folder = desk.workspace.join(".nuncio/output");
    names(&folder).into_iter().map(|name| format!(".nuncio/output/{name}")).collect()
}

#[tokio::test]
async fn a_file_of_long_output_has_a_bound_and_is_one_of_some() {
    let desk = Desk::with(ToolSettings { output_limit: 10, terminal_max_output: 100, ..settings() });
    let answer = run(&desk, "printf %0200d 0").await;
    let [file] = &*outputs(&desk) else { panic!("one file") };
    let line = format!(
        "[the first 100 bytes of the output are in `{file}`; read_file with offset=1 goes on where it was cut]"
    );
    assert_eq!(answer.lines().last(), Some(&*line));
    assert_eq!(desk.content(file), "0".repeat(100));

    // What somebody else has put there stays.
    desk.put(".nuncio/output/notes.txt", "");
    for _ in 0..20 {
        run(&desk, "printf %0200d 0").await;
    }
    let left = outputs(&desk);
    assert_eq!(
        (left.len(), left.contains(file), left.last().unwrap().as_str()),
        (17, false, ".nuncio/output/notes.txt")
    );
    assert_eq!(desk.ok("search_files", json!({"pattern": "000"})).await, "[no matches]");
}

/// The workspace is the command's, and it may plant anything in it.
#[tokio::test]
async fn long_output_is_not_led_out_of_the_workspace() {
    let desk = Desk::with(ToolSettings { output_limit: 10, ..settings() });
    let plants = ["ln -s ../outside .nuncio", "mkdir .nuncio; ln -s ../../outside .nuncio/output", "touch .nuncio"];
    for plant in plants {
        let answer = run(&desk, &format!("{plant}; seq 100")).await;
        assert!(answer.contains("[exit code 0]\n[the whole output could not be kept in a file: "), "{plant}: {answer}");
        assert_eq!(names(&desk.outside), [""; 0], "{plant}");
        run(&desk, "rm -r .nuncio").await;
    }
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
