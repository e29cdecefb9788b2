//! How many answers of 22 events there are in a second.

use super::super::answer::Answer;
use super::super::client::crowd;
use super::super::figures::Figures;
use super::super::target::Api;
use super::Bench;
use anyhow::Result;

const CONNECTIONS: [usize; 3] = [1, 16, 64];

const ASKED: [(&str, Api, &str); 3] = [
    ("chat, streamed", Api::Chat { stream: true }, "× pass-through ≥ 0.60 at 64"),
    ("responses, not stored", Api::Responses { store: false }, "× pass-through ≥ 0.50 at 64"),
    ("responses, stored", Api::Responses { store: true }, "× pass-through ≥ 0.30 at 64"),
];

pub async fn rows(bench: &Bench) -> Result<Vec<Figures>> {
    let mut rows = Vec::new();
    for (name, api, goal) in ASKED {
        for connections in CONNECTIONS {
            let mut row = Figures::new(format!("{name}: {connections} at once"), "1/s").goal(goal);
            for _ in 0..bench.plan.rounds {
                for target in bench.targets() {
                    let ask = target.ask(api, &Answer::USUAL);
                    let crowd = crowd(target.address, &ask, connections, bench.plan.turn).await?;
                    row.add(&target.name, crowd.reads.len() as f64 / crowd.time.as_secs_f64());
                }
            }
            rows.push(row);
        }
    }
    Ok(rows)
}
