//! Many streams open at once, at the pace of a model.

use super::super::answer::Answer;
use super::super::client::{Connection, Keep, Read};
use super::super::figures::{Figures, millis, quantile};
use super::super::processes::Process;
use super::super::target::{Api, Target};
use super::Bench;
use anyhow::Result;
use std::time::Duration;
use tokio::task::JoinSet;

/// Between two tokens of one stream: 20 in a second.
const PACE: Duration = Duration::from_millis(50);

pub async fn rows(bench: &Bench) -> Result<Vec<Figures>> {
    let mut rows = Vec::new();
    for &open in &bench.plan.streams {
        let name = |what: &str| format!("{open} streams at 20 tokens/s: {what}");
        let mut complete = Figures::new(name("complete"), "%").goal("100");
        let mut gap = Figures::new(name("p99 gap"), "ms").goal("× direct ≤ 1.5");
        let mut memory = Figures::new(name("memory each"), "KiB").goal("≤ 30");
        let mut processor = Figures::new(name("processor"), "cores");
        let of_nuncio = (bench.nuncio(), &bench.nuncio);
        let of_proxy = (Target::new("passthrough", bench.passthrough.address, "m", false), &bench.passthrough);
        for (target, process) in [(bench.direct(), &bench.upstream), of_proxy, of_nuncio] {
            let streams = Streams::read(&target, process, open, bench.plan.stream_time).await?;
            complete.add(&target.name, streams.complete * 100.0);
            gap.add(&target.name, streams.gap);
            memory.add(&target.name, streams.memory / 1024.0);
            processor.add(&target.name, streams.processor);
        }
        rows.extend([complete, gap, memory, processor]);
    }
    Ok(rows)
}

/// What many streams have come to.
struct Streams {
    complete: f64,
    gap: f64,
    memory: f64,
    processor: f64,
}

impl Streams {
    async fn read(target: &Target, process: &Process, open: usize, time: Duration) -> Result<Self> {
        let chunks = (time.as_millis() / PACE.as_millis()).max(2) as usize;
        let ask = target.ask(Api::Chat { stream: true }, &Answer { chunks, delay: PACE, tool: false });
        let mut connections = Vec::with_capacity(open);
        for _ in 0..open {
            connections.push(Connection::open(target.address).await?);
        }
        let (resident, worked) = (process.resident(), process.processor_time());
        let mut clients: JoinSet<Result<Read>> = JoinSet::new();
        for (index, mut connection) in connections.into_iter().enumerate() {
            let ask = ask.clone();
            clients.spawn(async move {
                // Not all at the same moment, as clients are not either.
                tokio::time::sleep(PACE * (index % 20) as u32 / 20).await;
                connection.ask(&ask, Keep::Gaps).await
            });
        }
        // When all are open, and none has ended.
        tokio::time::sleep(time * 3 / 4).await;
        let (resident, now) = (process.resident() - resident, std::time::Instant::now());
        let mut gaps = Vec::new();
        let (mut complete, mut all_open) = (0, None);
        while let Some(read) = clients.join_next().await {
            let Ok(Ok(read)) = read else { continue };
            complete += usize::from(read.tokens == chunks);
            all_open = all_open.max(read.gaps.first().map(|(at, _)| *at));
            gaps.extend(read.gaps);
        }
        // While they are being opened there are fewer of them, and requests beside.
        let gaps: Vec<f64> =
            gaps.into_iter().filter(|(at, _)| Some(*at) > all_open).map(|(_, gap)| millis(gap)).collect();
        let took = time * 3 / 4 + now.elapsed();
        Ok(Self {
            complete: complete as f64 / open as f64,
            gap: quantile(&gaps, 0.99),
            memory: resident / open as f64,
            processor: (process.processor_time() - worked) / took.as_secs_f64(),
        })
    }
}
