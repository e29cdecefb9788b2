//! The same through the running daemon: what a model's commands find.

use crate::attempt::skipped;
use crate::support::{Daemon, REHEARSAL, client};
use serde_json::{Value, json};

/// The outputs of the tools that a script calls.
async fn outputs(daemon: &Daemon, model: &str, session: &str, script: &str) -> Vec<String> {
    let request = client().post(daemon.url("/v1/responses")).header("X-Nuncio-Session", session);
    let answer = request.json(&json!({"model": model, "input": script})).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let calls = answer["output"].as_array().unwrap().iter().filter(|item| item["type"] == "mcp_call");
    calls
        .map(|call| match &call["output"] {
            Value::String(output) => output.trim_end_matches("\n[exit code 0]").to_owned(),
            _ => call["error"]["content"][0]["text"].as_str().unwrap().to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn commands_and_file_tools_work_on_the_same_files() {
    let daemon = Daemon::with(REHEARSAL);
    let script = "write: a/note\n| one\nthen\nrun: echo two >> a/note; mkdir b; echo three > b/new; id -u\nthen\n\
                  call: edit_file {\"path\": \"b/new\", \"old_string\": \"three\", \"new_string\": \"four\"}\nthen\n\
                  run: echo five >> b/new; cat a/note b/new; rm -r a b; ls";
    let told = outputs(&daemon, "nuncio", "one", script).await;
    assert_eq!(told.last().unwrap(), "one\ntwo\nfour\nfive", "{told:?}");
    // Root's commands are somebody else's.
    let own = rustix::process::geteuid();
    assert_eq!(told[1] == own.as_raw().to_string(), !own.is_root(), "{told:?}");
}

#[tokio::test]
async fn nothing_of_the_daemon_or_of_another_session_is_seen() {
    let secret = "sk-nobody-shall-see-this";
    let yaml = format!("{REHEARSAL}profiles: {{nuncio: {{}}, strict: {{sandbox: strict}}}}\n");
    let daemon = Daemon::with_environment(&yaml, &[("SECRET", secret)]);
    outputs(&daemon, "nuncio", "other", "run: echo hers > note; echo hers > $TMPDIR/note").await;
    let folder = daemon.folder.path().display();
    let attempts = format!(
        "run: cat /proc/{pid}/environ /proc/*/environ | tr '\\0' '\\n' | grep -c {secret}; cat {folder}/data/nuncio.db; \
         cat {folder}/config.yaml; cat ../*/note; cat $TMPDIR/note; kill -9 {pid}; kill -9 -1; kill -9 $PPID; echo tried",
        pid = daemon.pid()
    );
    for model in ["nuncio", "strict"] {
        let told = outputs(&daemon, model, "one", &attempts).await.remove(0);
        if told.contains("the sandbox's layer") {
            skipped(model, &told);
            continue;
        }
        let lines: Vec<&str> = told.lines().filter(|line| !line.contains(": ")).collect();
        assert!(lines.starts_with(&["0"]) && !told.contains("hers") && !told.contains("SQLite"), "{model}: {told}");
    }
    assert_eq!(outputs(&daemon, "nuncio", "other", "run: cat note $TMPDIR/note").await, ["hers\nhers"]);
}

#[tokio::test]
async fn what_is_on_is_told_in_health() {
    let yaml = format!("{REHEARSAL}profiles: {{nuncio: {{}}, open: {{sandbox: 'off'}}}}\n");
    let daemon = Daemon::with(&yaml);
    let health: Value = client().get(daemon.url("/health/detailed")).send().await.unwrap().json().await.unwrap();
    let sandbox = &health["sandbox"];
    assert_eq!(sandbox["status"] == "ok", sandbox["problems"].as_object().unwrap().is_empty(), "{sandbox}");
    assert_eq!(sandbox["user"].is_string(), rustix::process::geteuid().is_root(), "{sandbox}");
    let told = outputs(&daemon, "open", "one", "run: test -r /proc/1/stat && ls / | grep -c '^home$'; id -u").await;
    assert_eq!(told[0].lines().next(), Some("1"), "off shows all there is: {told:?}");
}
