//! Processes that try to outlive their command.

use crate::House;
use crate::attempt::{all_policies, broken};
use crate::{LIMITS, supervisor};
use nuncio::sandbox::{Command, Layer, Policy, SpawnError};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// None of them ends by itself in this time.
const TIME: Duration = Duration::from_secs(1);

/// What the kernel may take to end what was killed.
const GONE_WITHIN: Duration = Duration::from_secs(10);

const SCRIPTS: [(&str, &str); 8] = [
    ("a session of its own", "setsid sleep 60 & echo up"),
    ("forked twice", "(setsid sh -c 'sleep 60 & sleep 61 &' &) ; echo up"),
    ("deaf", "trap '' TERM HUP INT QUIT; nohup setsid sleep 60 > /dev/null 2>&1 & echo up"),
    ("without any output", "setsid sleep 60 < /dev/null > /dev/null 2>&1 & echo up"),
    ("a stopped process", "setsid sleep 60 & kill -STOP $!; echo up"),
    ("killing its parent", KILLS_ITS_PARENT),
    ("stopping its parent", "setsid sleep 60 & kill -STOP $PPID; echo up"),
    (
        "stopping its parent again and again",
        "setsid sh -c \"while :; do kill -STOP $PPID; done\" 2> /dev/null & echo up; sleep 60",
    ),
];

const KILLS_ITS_PARENT: &str = "setsid sleep 60 & kill -KILL $PPID; echo up; sleep 0.1";

/// A command whose processes can be found by a word in their environment.
struct Marked {
    command: Command,
    mark: Vec<u8>,
}

impl Marked {
    fn new(house: &House, script: &str) -> Self {
        let mut command = house.command(script);
        let mark = uuid::Uuid::now_v7().to_string();
        command.env.push(("MARK".into(), mark.clone()));
        Self { command, mark: format!("MARK={mark}").into_bytes() }
    }

    fn processes(&self) -> Vec<Pid> {
        let found = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|word| word == self.mark).then(|| Pid::from_raw(pid)).flatten()
        });
        found.collect()
    }

    async fn gone(&self) -> bool {
        let begun = Instant::now();
        while !self.processes().is_empty() && begun.elapsed() < GONE_WITHIN {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.processes().is_empty()
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[tokio::test]
async fn no_process_outlives_its_command() {
    let house = House::new();
    for policy in all_policies(&house).await {
        for (name, script) in SCRIPTS {
            let marked = Marked::new(&house, script);
            let done = supervisor(&policy).run(&marked.command, LIMITS, TIME).await.unwrap();
            assert!(done.output.head.ends_with("up\n"), "{name}: {done:?}");
            assert!(marked.gone().await, "{name} under {:?}: {:?}", policy.level, marked.processes());
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(house.data.to_str().unwrap()), "{mounts}");
}

/// What keeps a command from its supervisor, so that the test above can fail.
#[tokio::test]
async fn without_its_layers_a_process_outlives_its_command() {
    let house = House::new();
    let guards = [Layer::Processes, Layer::View, Layer::Scopes, Layer::User];
    let open = guards.into_iter().fold(house.policy(), Policy::without).knowing(broken().await);
    let marked = Marked::new(&house, KILLS_ITS_PARENT);
    let lost = supervisor(&open).run(&marked.command, LIMITS, TIME).await;
    assert!(matches!(lost, Err(SpawnError::Lost)), "{lost:?}");
    assert_ne!(marked.processes(), []);
}
