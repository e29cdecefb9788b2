//! A command whose processes are hard to get rid of and easy to find.

use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// How many processes the command comes to.
const COUNT: usize = 6;

/// What the issue allows.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// The processes of one command, known by a mark in their environment.
pub struct Stubborn {
    mark: String,
}

impl Stubborn {
    pub fn new() -> Self {
        Self { mark: format!("MARK={}", uuid::Uuid::now_v7()) }
    }

    /// Arguments for `terminal`.
    pub fn arguments(&self) -> Value {
        let script = "trap \"\" TERM INT HUP; sleep 1000 & setsid sleep 1001 & \
                      (setsid sh -c \"sleep 1002 & sleep 1003\" &) ; sleep 1004";
        json!({"command": format!("{} exec sh -c '{script}'", self.mark)})
    }

    pub async fn up(&self) {
        self.until(Duration::from_secs(20), |count| count >= COUNT).await;
    }

    pub async fn gone(&self) {
        self.until(GONE_WITHIN, |count| count == 0).await;
    }

    pub async fn gone_in(&self, limit: Duration) {
        self.until(limit, |count| count == 0).await;
    }

    async fn until(&self, limit: Duration, reached: impl Fn(usize) -> bool) {
        let begun = Instant::now();
        loop {
            let alive = self.alive();
            if reached(alive.len()) {
                return;
            }
            assert!(begun.elapsed() < limit, "after {limit:?}: {alive:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The live processes of the command. (A zombie has no environment any more.)
    fn alive(&self) -> Vec<u32> {
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let marked = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == self.mark.as_bytes())
        };
        pids.filter(marked).collect()
    }
}
