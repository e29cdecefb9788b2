//! What is measured, one kind of row a file.

mod chain;
mod footprint;
mod latency;
mod resume;
mod streams;
mod throughput;

use super::figures::Figures;
use super::processes::Process;
use super::target::Target;
use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rounds: usize,
    /// Of one target in one round.
    pub turn: Duration,
    /// Streams that are open at once.
    pub streams: Vec<usize>,
    /// How long each stream is.
    pub stream_time: Duration,
    /// Turns of the chain.
    pub chain: usize,
}

impl Plan {
    pub fn full(rounds: usize, turn: Duration) -> Self {
        Self { rounds, turn, streams: vec![100, 1000, 3000], stream_time: Duration::from_secs(5), chain: 1000 }
    }

    /// Enough to see that each row still runs.
    pub fn glance() -> Self {
        let short = Duration::from_millis(200);
        Self { rounds: 1, turn: short, streams: vec![20], stream_time: short, chain: 30 }
    }
}

/// The servers, for as long as they are measured.
pub struct Bench {
    pub plan: Plan,
    pub upstream: Process,
    pub passthrough: Process,
    pub nuncio: Process,
    pub peers: Vec<Target>,
}

type Row = for<'a> fn(&'a Bench) -> BoxFuture<'a, Result<Vec<Figures>>>;

/// By the names that they can be asked for.
pub const ALL: &[(&str, Row)] = &[
    ("latency", |bench| latency::rows(bench).boxed()),
    ("throughput", |bench| throughput::rows(bench).boxed()),
    ("streams", |bench| streams::rows(bench).boxed()),
    ("chain", |bench| chain::rows(bench).boxed()),
    ("resume", |bench| resume::rows(bench).boxed()),
    ("footprint", |bench| footprint::rows(bench).boxed()),
];

impl Bench {
    pub async fn start(plan: Plan, peers: &[String]) -> Result<Self> {
        let upstream = Process::role("upstream", None)?;
        let passthrough = Process::role("passthrough", Some(upstream.address))?;
        let nuncio = Process::daemon(upstream.address)?;
        let peers = peers.iter().map(|peer| Target::peer(peer)).collect::<Result<_>>()?;
        Ok(Self { plan, upstream, passthrough, nuncio, peers })
    }

    pub fn direct(&self) -> Target {
        Target::new("direct", self.upstream.address, "m", false)
    }

    pub fn nuncio(&self) -> Target {
        Target::new("nuncio", self.nuncio.address, "nuncio", true)
    }

    /// All, in the order in which they have their turns.
    pub fn targets(&self) -> Vec<Target> {
        let passthrough = Target::new("passthrough", self.passthrough.address, "m", false);
        [self.direct(), passthrough, self.nuncio()].into_iter().chain(self.peers.iter().cloned()).collect()
    }
}
