//! What the machine is, and what else it is doing.

use serde::Serialize;
use std::fs;
use std::time::Duration;

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub kernel: String,
    /// Share of the processors' time that others took in the second before the bench.
    pub busy_before: f64,
}

/// How busy the machine is now, over one second.
pub async fn busy() -> f64 {
    let before = times();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = times();
    let (all, idle) = (after.0 - before.0, after.1 - before.1);
    if all > 0.0 { 1.0 - idle / all } else { 0.0 }
}

/// Ticks since the start: all, and those without work.
fn times() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
    // The fourth is idle, the fifth waits for a disk.
    (ticks.iter().take(8).sum(), ticks.iter().skip(3).take(2).sum())
}

impl Machine {
    pub fn new(busy_before: f64) -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            busy_before,
        }
    }
}
