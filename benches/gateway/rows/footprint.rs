//! What the daemon takes before anybody asks for anything.

use super::super::client::{Connection, Keep};
use super::super::figures::{Figures, millis};
use super::super::processes::{DAEMON, Process};
use super::super::target::Target;
use super::Bench;
use anyhow::Result;
use std::time::{Duration, Instant};

pub async fn rows(bench: &Bench) -> Result<Vec<Figures>> {
    let mut start = Figures::new("start to /health", "ms").goal("≤ 100");
    let mut idle = Figures::new("memory when idle", "MiB").goal("≤ 20");
    for _ in 0..bench.plan.rounds {
        let begun = Instant::now();
        let daemon = Process::daemon(bench.upstream.address)?;
        let target = Target { root: String::new(), ..Target::new("nuncio", daemon.address, "nuncio", true) };
        Connection::open(daemon.address).await?.ask(&target.get("health"), Keep::Nothing).await?;
        start.add("nuncio", millis(begun.elapsed()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        idle.add("nuncio", daemon.resident() / f64::from(1 << 20));
    }
    let binary = std::fs::metadata(DAEMON)?.len() as f64 / f64::from(1 << 20);
    Ok(vec![start, idle, Figures::once("binary, stripped", "MiB", binary).goal("≤ 25")])
}
