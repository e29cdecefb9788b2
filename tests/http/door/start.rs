//! Starts that are refused, and what is said on the way.

use crate::support::{Daemon, REHEARSAL, client, command};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn prepared(yaml: &str) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let command = command(folder.path());
    (folder, command)
}

fn failure(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_open_door_to_the_network_is_refused() {
    for (argument, variable) in
        [(Some("0.0.0.0"), None), (None, Some("0.0.0.0")), (Some("::"), None), (Some("192.0.2.1"), None)]
    {
        let (_folder, mut command) = prepared(REHEARSAL);
        command.args(["--port", "0"]).args(argument.map(|host| ["--host", host]).iter().flatten());
        command.envs(variable.map(|host| ("API_SERVER_HOST", host)));
        let (code, stdout, stderr) = failure(&command.output().unwrap());
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.contains("can be reached from other machines and there is no key"), "{stderr}");
        assert!(stderr.contains("nuncio key new NAME"), "{stderr}");
    }
}

#[test]
fn a_key_opens_the_network() {
    let daemon =
        Daemon::with_environment(&format!("{REHEARSAL}server: {{host: 0.0.0.0}}\n"), &[("API_SERVER_KEY", "a-key")]);
    assert!(daemon.base.starts_with("http://0.0.0.0:"), "{}", daemon.base);
}

#[tokio::test]
async fn a_second_daemon_says_that_the_port_is_taken() {
    let first = Daemon::rehearsing();
    let port = first.address().rsplit(':').next().unwrap();
    let (_folder, mut command) = prepared(REHEARSAL);
    let (code, stdout, stderr) = failure(&command.args(["--port", port]).output().unwrap());
    let expected = format!(
        "nuncio: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98). \
         Choose another address with --host and --port.\n"
    );
    assert_eq!((code, stdout.as_str(), stderr), (Some(1), "", expected));
    assert_eq!(client().get(first.url("/health")).send().await.unwrap().status(), 200);
}

/// As in `nuncio | head -1`.
#[tokio::test]
async fn nobody_reading_the_greeting_is_no_reason_to_end() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_folder, mut command) = prepared(REHEARSAL);
    let (reading, writing) = std::io::pipe().unwrap();
    drop(reading);
    let mut child = command.args(["--port", &port.to_string()]).stdout(writing).stderr(Stdio::null()).spawn().unwrap();
    let mut status = None;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked = client().get(format!("http://127.0.0.1:{port}/health")).send().await;
        status = asked.ok().map(|response| response.status().as_u16());
        if status.is_some() || child.try_wait().unwrap().is_some() {
            break;
        }
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(status, Some(200));
}

#[test]
fn too_few_open_files_are_told_of() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limited = |current: u64, maximum: u64, yaml: &str| {
        let (folder, mut command) = prepared(yaml);
        let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
        // SAFETY: setrlimit is a plain system call.
        unsafe {
            command.pre_exec(move || Ok(setrlimit(Resource::Nofile, limit)?));
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.args(["--port", "0"]).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut first = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut first).unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let _ = child.kill();
        child.wait().unwrap();
        let raised = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        (
            raised.split_whitespace().nth(3).unwrap().to_owned(),
            std::fs::read_to_string(folder.path().join("log")).unwrap(),
        )
    };
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(65_536).min(65_536);
    let (raised, log) = limited(128, most, &format!("{REHEARSAL}server: {{max_runs: 50}}\n"));
    assert_eq!((raised, log.contains("the limit of open files is low")), (most.to_string(), false), "{log}");
    let (raised, log) = limited(128, 256, REHEARSAL);
    assert_eq!((raised.as_str(), log.contains("the limit of open files is low")), ("256", true), "{log}");
}
