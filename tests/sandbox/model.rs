//! The same through the running daemon: a model that asks `terminal` for a way out.

use crate::attempt::{broken, skipped};
use crate::house::is_root;
use crate::kit::Kit;
use crate::support::{self, Daemon, temp};
use crate::upstream::{Server, calls, stream, turn};
use nuncio::sandbox::Layer;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const SECRET: &str = "a-key-of-the-upstream";

/// A profile for each way to be confined, and one for none.
const PROFILES: &str = "workspace: {}, strict: {sandbox: strict}, none: {network: none}, \
                        loopback: {network: loopback}, off: {sandbox: off}, \
                        writer: {write: [shared]}, shared: {write: [shared], read: [shared/in]}";

struct Daemons {
    daemon: Daemon,
    upstream: Server,
    kit: std::sync::Arc<Kit>,
}

impl Daemons {
    async fn start() -> Self {
        let upstream = Server::directed(|_, request| {
            let last = request.body["messages"].as_array().unwrap().last().unwrap();
            match last["role"].as_str() {
                Some("user") => {
                    let command = json!({"command": last["content"]});
                    turn([calls(0, "c", "terminal", &command)], "tool_calls")
                }
                _ => stream("tried"),
            }
        })
        .await;
        let (kit, folder) = (Kit::get(), temp());
        let read = format!("read: ['{}']", kit.folder.display());
        let profiles =
            PROFILES.replace("{}", &format!("{{{read}}}")).replace("{network", &format!("{{{read}, network"));
        let profiles = profiles.replace("sandbox: strict", &format!("{read}, sandbox: strict"));
        let yaml = format!(
            "upstreams: {{default: {{base_url: '{}', api_key: {SECRET}, model: m}}}}\nprofiles: {{{profiles}}}\n",
            upstream.base_url
        );
        std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        std::fs::create_dir_all(folder.path().join("shared/in")).unwrap();
        for shared in ["shared", "shared/in"] {
            std::fs::set_permissions(folder.path().join(shared), Permissions::from_mode(0o777)).unwrap();
        }
        let mut command = support::command_of(&kit.nuncio, folder.path());
        command.env("SECRET_KEY", SECRET);
        Self { daemon: Daemon::of(command, folder), upstream, kit }
    }

    /// What the model is told of its command.
    async fn run(&self, profile: &str, session: &str, script: &str) -> String {
        let body = json!({"model": profile, "messages": [{"role": "user", "content": script}]});
        let request =
            support::client().post(self.daemon.url("/v1/chat/completions")).header("x-nuncio-session", session);
        let answer = request.body(body.to_string()).header("content-type", "application/json").send().await.unwrap();
        let status = answer.status();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(status, 200, "{answer}");
        self.upstream.requests().last().unwrap().last().to_owned()
    }

    fn fill_in(&self, script: &str) -> String {
        let data = self.daemon.folder.path().join("data");
        let attacker =
            format!("{} --ignored --exact attacker::role --nocapture --test-threads=1", self.kit.attacker.display());
        let port = self.daemon.address().rsplit(':').next().unwrap();
        let values = [
            ("{pid}", self.daemon.pid().to_string()),
            ("{data}", data.display().to_string()),
            ("{attacker}", attacker),
            ("{port}", port.to_owned()),
        ];
        values.iter().fold(script.to_owned(), |script, (name, value)| script.replace(name, value))
    }
}

/// What is tried, under which profiles it fails and in which words, and the profile under which it does not, if there is
/// one: no process of its user may look into the daemon. (As root, what is off is still another user's.)
const ATTEMPTS: &[(&str, &str, &[&str], &str, &str)] = &[
    ("its key", "grep -a SECRET_KEY= /proc/{pid}/environ", &["workspace", "strict"], "No such file", ""),
    ("its database", "head -c 6 {data}/nuncio.db", &["workspace", "strict"], "No such file", "off"),
    ("its settings", "cat {data}/../config.yaml", &["workspace", "strict"], "No such file", "off"),
    ("its end", "kill -0 {pid}", &["workspace", "strict", "none", "loopback"], "No such process", "off"),
    ("another session", "cat {data}/workspaces/*/notes", &["workspace", "strict"], "mine\n[exit code 0]", "off"),
    (
        "its own port, strict",
        "ATTACK='tcp {port}' {attacker}",
        &["strict", "none"],
        "Operation not permitted",
        "workspace",
    ),
    ("its own port, loopback", "ATTACK='tcp {port}' {attacker}", &["loopback"], "Connection refused", "workspace"),
];

#[tokio::test]
async fn a_model_finds_no_way_out() {
    let broken = broken().await;
    let needed =
        [Layer::View, Layer::Processes, Layer::Network, Layer::Files, Layer::Ports, Layer::Scopes, Layer::Syscalls];
    if let Some((layer, reason)) = broken.iter().find(|(layer, _)| needed.contains(layer)) {
        return skipped("attempts through the daemon", &format!("layer {layer} is not here: {reason}"));
    }
    let daemons = Daemons::start().await;
    daemons.run("workspace", "ann", "echo hers > notes").await;
    daemons.run("workspace", "bob", "echo mine > notes").await;
    for (name, script, profiles, words, open) in ATTEMPTS {
        let script = daemons.fill_in(script);
        for profile in *profiles {
            let told = daemons.run(profile, "bob", &script).await;
            let has_failed = !told.ends_with("[exit code 0]") || *name == "another session";
            assert!(has_failed && told.contains(words) && !told.contains("hers"), "{name} under {profile}: {told}");
        }
        if !open.is_empty() && (*open != "off" || !is_root()) {
            let told = daemons.run(open, "bob", &script).await;
            assert!(told.ends_with("[exit code 0]"), "{name} under {open}: {told}");
        }
    }
    assert_eq!(daemons.run("workspace", "ann", "cat notes").await, "hers\n[exit code 0]");
}

#[tokio::test]
async fn a_model_leaves_nothing_running() {
    let daemons = Daemons::start().await;
    let mark = format!("MARK={}", uuid::Uuid::now_v7());
    for profile in ["workspace", "strict", "none", "loopback"] {
        let told = daemons.run(profile, "bob", &format!("{mark} setsid sleep 60 & kill -KILL $PPID; echo up")).await;
        if told.contains("the sandbox's layer") {
            skipped(profile, &told);
            continue;
        }
        assert!(told.contains("up\n"), "{profile}: {told}");
        let begun = Instant::now();
        while is_running(&mark) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{profile} leaves something behind");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let health = support::client().get(daemons.daemon.url("/health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
}

/// What commands can write, they can put a link into.
#[tokio::test]
async fn a_link_in_the_place_of_what_is_read_leads_nowhere() {
    let daemons = Daemons::start().await;
    let told = daemons.run("workspace", "ann", "echo hers > notes; basename $PWD").await;
    if !told.ends_with("[exit code 0]") {
        return assert!(told.contains("the sandbox's layer"), "{told}");
    }
    let [link, read] = ["rm -rf {in} && ln -s {data}/workspaces {in}", "cat {in}/{hers}/notes"].map(|script| {
        let script = script.replace("{hers}", told.lines().next().unwrap());
        let place = daemons.daemon.folder.path().join("shared/in");
        daemons.fill_in(&script.replace("{in}", &place.display().to_string()))
    });
    let told = daemons.run("writer", "bob", &link).await;
    assert!(told.ends_with("[exit code 0]"), "{told}");
    let told = daemons.run("shared", "bob", &read).await;
    assert!(!told.contains("hers") && !told.ends_with("[exit code 0]"), "{told}");
}

fn is_running(mark: &str) -> bool {
    let mut environments = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
    environments.any(|environment| environment.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()))
}
