//! Servers come, go and come back, and the daemon serves on.

use crate::{daemon, health, hostile, offered, play, said, until, with};
use rustix::process::Signal;
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn the_daemon_starts_without_a_server_that_does_not() {
    let servers = [
        ("absent", "{command: /no/such/program}".to_owned()),
        ("exits", hostile("exits", "") + "}"),
        ("good", hostile("good", "") + "}"),
        ("hangs", hostile("hangs", "") + ", start_timeout: 1s}"),
        ("nobody", "{url: 'http://127.0.0.1:9/mcp'}".to_owned()),
    ];
    let daemon = daemon(&servers, "");
    assert_eq!(said(&daemon, "echo", json!({"text": "hi"})).await, Ok("hi".to_owned()));
    let error = async |name: &str| {
        let line = until(&daemon, name, |line| line["last_error"].is_object()).await;
        (line["tools"].clone(), line["last_error"]["message"].as_str().unwrap().to_owned())
    };
    let none = || json!([]);
    let (tools, message) = error("absent").await;
    assert!(tools == none() && message.contains("/no/such/program"), "{message}");
    let expected = "it ended with exit code 7; it had written: no licence found | I give up";
    assert_eq!(error("exits").await, (none(), expected.to_owned()));
    assert_eq!(error("hangs").await, (none(), "it gave no answer within 1 s".to_owned()));
    let expected = "error sending request for url (http://127.0.0.1:9/mcp): client error (Connect): tcp connect error: \
                    Connection refused (os error 111)";
    assert_eq!(error("nobody").await, (none(), expected.to_owned()));
    assert_eq!(health(&daemon, "good").await["last_error"], json!(null));
}

#[tokio::test]
async fn a_server_that_crashes_in_a_call_is_started_again() {
    let daemon = with("good");
    let told = said(&daemon, "crash", json!({})).await.unwrap_err();
    assert!(told.starts_with("The MCP server it went away during the call"), "{told}");
    // Its tools stay in the offer meanwhile, and a call waits for it.
    assert_eq!(said(&daemon, "echo", json!({"text": "back"})).await, Ok("back".to_owned()));
    let line = health(&daemon, "it").await;
    assert_eq!((&line["restarts"], &line["last_error"]["message"]), (&json!(1), &json!("it ended with exit code 3")));
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_in_time_and_a_deaf_server_is_started_again() {
    let server = hostile("deaf", "") + ", call_timeout: 1s}";
    let daemon = daemon(&[("it", server)], "");
    let told = said(&daemon, "wait", json!({})).await.unwrap_err();
    let expected = "The MCP server it gave no answer within 1 s, and the call was cancelled. It may have had effects.";
    assert_eq!(told, expected);
    let line = until(&daemon, "it", |line| line["restarts"] == 1 && line["state"] == "up").await;
    assert_eq!(line["last_error"]["message"], "it answered neither a call nor a ping");
}

#[tokio::test]
async fn servers_end_in_good_order_with_the_daemon() {
    let mut daemon = with("good");
    assert_eq!(said(&daemon, "echo", json!({"text": "hi"})).await, Ok("hi".to_owned()));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    let told = std::fs::read_to_string(daemon.folder.path().join("data/mcp/it/ended")).unwrap();
    assert_eq!(told, "in good order");
}

#[tokio::test]
async fn servers_die_with_a_daemon_that_is_killed() {
    let daemon = with("good");
    assert_eq!(said(&daemon, "echo", json!({"text": "hi"})).await, Ok("hi".to_owned()));
    // A process that has the folder of this daemon in its environment is one that it has started.
    let home = format!("HOME={}", daemon.folder.path().join("data/mcp/it").display());
    let alive = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let environments = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
        environments.filter(|text| String::from_utf8_lossy(text).split('\0').any(|line| line == home)).count()
    };
    assert!(alive() > 0);
    let folder = daemon.killed();
    let gone = async {
        while alive() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::PATIENCE, gone).await.unwrap();
    drop(folder);
}

#[tokio::test]
async fn check_says_what_each_server_offers() {
    let folder = tempfile::tempdir().unwrap();
    let servers = [("bad", hostile("exits", "") + "}"), ("good", hostile("good", "") + ", allow: [echo, gone]}")];
    let servers = servers.map(|(name, server)| format!("{name}: {server}")).join(", ");
    let yaml = format!("{}mcp_servers: {{{servers}}}\n", crate::REHEARSAL);
    std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let output = crate::support::command(folder.path()).arg("check").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let has_tried = |line: &&str| line.contains("   mcp ") && !line.starts_with("sandbox");
    let lines: Vec<&str> = text.lines().filter(has_tried).collect();
    let expected = [
        "warning   mcp bad: it ended with exit code 7; it had written: no licence found | I give up",
        "reached   mcp good: 1 tools (echo); `gone` is allowed and not there",
    ];
    assert_eq!(lines, expected, "{text}");
    assert!(output.status.success() && text.ends_with("ok\n"), "{text}");
    // It was tried elsewhere.
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_check_gives_no_folder_away() {
    use std::os::unix::fs::MetadataExt;
    let folder = crate::support::temp();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    let owner = std::fs::metadata(&own).unwrap().uid();
    let yaml = format!("{}mcp_servers: {{here: {{command: 'false', cwd: own}}}}\n", crate::REHEARSAL);
    std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let output = crate::support::command(folder.path()).arg("check").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let word = if rustix::process::geteuid().is_root() { "untried   mcp here: " } else { "warning   mcp here: " };
    assert!(text.contains(word) && output.status.success(), "{text}");
    assert_eq!(std::fs::metadata(&own).unwrap().uid(), owner);
}

/// Also where no view hides the folders above its own.
#[test]
fn a_server_without_a_sandbox_is_said_and_has_a_home() {
    let folder = crate::support::temp();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    let script = "cd / && echo x > $HOME/x && echo at home >&2; exit 7";
    let server = format!("{{command: sh, args: [-c, '{script}'], sandbox: off}}");
    let yaml = format!("{}mcp_servers: {{free: {server}}}\n", crate::REHEARSAL);
    std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let output = crate::support::command(folder.path()).arg("check").env("TMPDIR", folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\nsandbox   mcp free: off, it reaches all that its user does"), "{text}");
    assert!(text.contains("\nwarning   mcp free: it ended with exit code 7; it had written: at home\n"), "{text}");
    assert!(!text.contains("have to pass"), "{text}");
    if rustix::process::geteuid().is_root() {
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let output = crate::support::command(folder.path()).arg("check").output().unwrap();
        let told = format!("have to pass {}, which is closed to ", folder.path().canonicalize().unwrap().display());
        assert!(String::from_utf8_lossy(&output.stdout).contains(&told), "{told}");
    }
}

#[tokio::test]
async fn a_run_without_servers_offers_what_there_is() {
    let (alone, daemon) = (daemon(&[], ""), daemon(&[("it", hostile("exits", "") + "}")], ""));
    assert_eq!(offered(&daemon).await, offered(&alone).await);
    assert_eq!(play(&daemon, "say: hi").await["status"], "completed");
}
