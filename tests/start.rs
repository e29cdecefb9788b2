//! How the real binary starts, and how it does not.

mod support;

use nuncio::sandbox::Layer;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{Daemon, REHEARSAL, client, command, command_of};
use tempfile::TempDir;

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn folder_with(yaml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    folder
}

/// Runs a command that must end by itself: its exit code, and what it printed.
fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn question(text: &str, stream: bool) -> Value {
    json!({"model": "nuncio", "stream": stream, "messages": [{"role": "user", "content": text}]})
}

async fn ask(daemon: &Daemon, text: &str) -> Value {
    let url = daemon.url("/v1/chat/completions");
    let sent = client().post(url).json(&question(text, false)).timeout(PATIENCE).send().await.unwrap();
    sent.json().await.unwrap()
}

/// What an upgrade does: the new file may hold a supervisor of another protocol, or nothing at all.
/// In another process: a file that this one writes is open in whatever other tests fork meanwhile, and cannot be run.
#[expect(clippy::disallowed_methods, reason = "no command of the agent's")]
fn copy_the_binary(to: &Path) {
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_nuncio")).arg(to).status().unwrap().success());
}

#[tokio::test]
async fn commands_run_on_when_the_binary_is_deleted_or_replaced() {
    for replacement in [None, Some("#!/bin/sh\nexit 7\n")] {
        let folder = folder_with(REHEARSAL);
        let binary = folder.path().join("nuncio");
        copy_the_binary(&binary);
        let daemon = Daemon::of(command_of(&binary, folder.path()), folder);
        let mode = fs::metadata(&binary).unwrap().permissions();
        fs::remove_file(&binary).unwrap();
        if let Some(text) = replacement {
            fs::write(&binary, text).unwrap();
            fs::set_permissions(&binary, mode).unwrap();
        }
        let answer = ask(&daemon, "run: echo still-$((40 + 2))").await;
        let said = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        assert!(said.contains("still-42"), "{answer}");
    }
}

#[test]
fn it_serves_on_with_no_one_to_read_what_it_prints() {
    let folder = folder_with(REHEARSAL);
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let ready = folder.path().join("ready");
    let socket = UnixDatagram::bind(&ready).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(folder.path());
    let mut child =
        command.args(["--port", "0"]).env("NOTIFY_SOCKET", &ready).stdout(writer).stderr(log).spawn().unwrap();
    // Told after all has been printed.
    let mut told = [0; 64];
    let received = socket.recv(&mut told);
    child.kill().unwrap();
    child.wait().unwrap();
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(told.starts_with(b"READY=1"), "{received:?}\n{log}");
}

#[test]
fn a_reader_that_has_heard_enough_is_no_failure() {
    let folder = folder_with(REHEARSAL);
    for arguments in [&["check"][..], &["key", "new", "ada"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(folder.path());
        let Output { status, stderr, .. } =
            command.args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!((status.code(), String::from_utf8(stderr).unwrap()), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn check_tells_what_would_run_and_writes_nothing() {
    let folder = folder_with(REHEARSAL);
    let (code, printed, said) = ended(command(folder.path()).arg("check"));
    assert_eq!((code, said.as_str()), (Some(0), ""), "{printed}");
    for layer in Layer::ALL {
        let line = printed.lines().find(|line| line.starts_with(&format!("layer     {layer} "))).unwrap_or_default();
        let found = [" enforced", " not here: ", " not needed: "].iter().any(|found| line.contains(found));
        assert!(found, "{line}");
    }
    assert!(printed.contains("\nsandbox   nuncio: workspace, network all"), "{printed}");
    assert!(printed.contains("\nreached   rehearsal: 1 model\n") && printed.ends_with("\nok\n"), "{printed}");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config.yaml"]);
}

#[tokio::test]
async fn a_kill_forgets_no_response_and_a_restart_goes_on_from_it() {
    let data = folder_with("upstreams: {default: {kind: rehearsal}}\nstore: {path: kept/here.db}\n");
    let start = || Daemon::of(command(data.path()), tempfile::tempdir().unwrap());
    let ask = async |daemon: &Daemon, body: Value| -> Value {
        let sent = client().post(daemon.url("/v1/responses")).json(&body).timeout(PATIENCE).send();
        sent.await.unwrap().json().await.unwrap()
    };
    let get = async |daemon: &Daemon, id: &Value| {
        let url = daemon.url(&format!("/v1/responses/{}", id.as_str().unwrap()));
        client().get(url).timeout(PATIENCE).send().await.unwrap().text().await.unwrap()
    };
    let mut daemon = start();
    let first = ask(&daemon, json!({"model": "nuncio", "input": "run: echo kept > note.txt"})).await;
    let told = get(&daemon, &first["id"]).await;
    assert_eq!(first["status"], "completed");
    daemon.signal(Signal::KILL);
    daemon.ended();
    let daemon = start();
    assert_eq!(get(&daemon, &first["id"]).await, told, "byte for byte");
    let next = json!({"model": "nuncio", "input": "run: cat note.txt", "previous_response_id": first["id"]});
    let next = ask(&daemon, next).await;
    assert!(next["output"].to_string().contains("kept"), "the folder is found again: {next}");
    assert!(data.path().join("kept/here.db").exists());
}

/// Not by permissions, which do not hold for root.
#[test]
fn folders_that_cannot_be_written_are_said_before_any_run() {
    let workspace = "upstreams: {default: {kind: rehearsal}}\nprofiles: {nuncio: {workspace: config.yaml/here}}\n";
    for (yaml, data, expected) in [
        (REHEARSAL, "config.yaml/data", "nuncio: the data folder FOLDER/config.yaml/data cannot be used: "),
        ("store: {path: config.yaml/n.db}\n", "data", "nuncio: the store FOLDER/config.yaml/n.db cannot be used: "),
        (workspace, "data", "nuncio: profile `nuncio`: the workspace FOLDER/config.yaml/here cannot be used: "),
    ] {
        let folder = folder_with(yaml);
        let expected = expected.replace("FOLDER", folder.path().to_str().unwrap());
        for word in ["check", "serve"] {
            let mut command = command(folder.path());
            // After the word this one outranks the usual one.
            command.arg(word).arg("--data-dir").arg(folder.path().join(data));
            let (code, _, said) = ended(&mut command);
            assert_eq!(code, Some(1), "{word}");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}

/// Their folders are shown to commands, which must not see what else the daemon has there.
#[test]
fn skills_beside_the_store_stop_the_start() {
    let folder = folder_with(&format!("{REHEARSAL}skills: {{paths: [data/skills]}}\n"));
    let skills = folder.path().join("data/skills");
    fs::create_dir_all(&skills).unwrap();
    let (code, _, said) = ended(command(folder.path()).arg("check").arg("--data-dir").arg(folder.path().join("data")));
    let problem = "nuncio: profile `nuncio`: skills: expected a path apart from the data folder ";
    assert_eq!((code, said.starts_with(problem)), (Some(1), true), "{said}");
}

#[test]
fn a_format_that_cannot_be_used_stops_the_start() {
    let schema = "{type: json_schema, json_schema: {name: n, schema: {type: xml}}}";
    for (format, problem) in [
        ("{type: xml}", "`response_format.type` must be text, json_object or json_schema."),
        (schema, "`response_format.json_schema.schema` cannot be used: at /type: \"xml\" is not valid"),
    ] {
        let folder = folder_with(&format!("{REHEARSAL}profiles: {{p: {{sampling: {{response_format: {format}}}}}}}\n"));
        let (code, _, said) = ended(command(folder.path()).arg("check"));
        assert_eq!(code, Some(1));
        assert!(said.starts_with(&format!("nuncio: profile `p`: sampling: {problem}")), "{said}");
    }
}

#[test]
fn a_second_daemon_on_the_port_says_so() {
    let daemon = Daemon::rehearsing();
    let port = daemon.address().rsplit(':').next().unwrap().to_owned();
    let folder = folder_with(&format!("{REHEARSAL}mcp_servers: {{it: {{command: sh}}}}\n"));
    let (code, _, said) = ended(command(folder.path()).args(["--port", &port]));
    // Nor has it begun what it could not have ended: no server of tools, and no run that was left to it.
    assert!(!folder.path().join("data/mcp/it").exists());
    let expected = format!(
        "nuncio: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98). Choose another address with \
         --host and --port.\n"
    );
    assert_eq!((code, said), (Some(1), expected));
}

#[test]
fn a_second_daemon_on_the_data_says_so_and_one_with_a_damaged_store_too() {
    let data = folder_with(REHEARSAL);
    let daemon = Daemon::of(command(data.path()), tempfile::tempdir().unwrap());
    let store = data.path().join("data/nuncio.db");
    let (code, _, said) = ended(command(data.path()).args(["--port", "0"]));
    let expected = format!(
        "nuncio: the store {store} is in use by another daemon, process {}, which holds {store}.lock. Stop that one, or \
         give this one a folder of its own with --data-dir.\n",
        daemon.pid(),
        store = store.display()
    );
    assert_eq!((code, said), (Some(1), expected));
    drop(daemon);
    // The log would make it whole again.
    fs::remove_file(store.with_extension("db-wal")).unwrap();
    fs::write(&store, "nothing that ".repeat(1000)).unwrap();
    let (code, _, said) = ended(command(data.path()).args(["--port", "0"]));
    let damaged = format!("nuncio: the store {} is damaged: file is not a database. Put a backup", store.display());
    assert!(code == Some(1) && said.starts_with(&damaged), "{said}");
}

/// Taken for unset, this one would open the door.
#[test]
fn a_key_that_is_no_text_stops_the_start() {
    let folder = folder_with(REHEARSAL);
    let (code, _, said) = ended(command(folder.path()).env("API_SERVER_KEY", OsStr::from_bytes(b"\xff-key")));
    let expected = "nuncio: the configuration is not usable:\nAPI_SERVER_KEY: expected UTF-8 text\n";
    assert_eq!((code, said.as_str()), (Some(1), expected));
}

#[test]
fn a_model_that_no_upstream_is_asked_for_is_not_dropped_in_silence() {
    let folder = folder_with("");
    let (code, printed, said) = ended(command(folder.path()).arg("check").env("NUNCIO_UPSTREAM_MODEL", "m"));
    assert_eq!(code, Some(0), "{said}");
    // With an Ollama on the machine it is used.
    let told = printed.contains("NUNCIO_UPSTREAM_MODEL is not used") || printed.contains("and an Ollama answers");
    assert!(told, "{printed}");
}

#[tokio::test]
async fn a_second_signal_ends_it_in_moments() {
    let mut daemon = Daemon::with("upstreams: {default: {kind: rehearsal}}\nserver: {shutdown_grace: 1h}\n");
    let sent = client().post(daemon.url("/v1/chat/completions")).json(&question("run: sleep 1000", true)).send();
    let _stream = sent.await.unwrap();
    daemon.signal(Signal::TERM);
    let begun = Instant::now();
    while !daemon.log().contains("stopping") {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!daemon.has_ended());
    daemon.signal(Signal::TERM);
    let begun = Instant::now();
    while !daemon.has_ended() {
        assert!(begun.elapsed() < Duration::from_secs(2), "{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(daemon.ended().success());
}
