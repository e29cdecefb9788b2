//! What is added to one answer of 22 events, with nobody else around, and to its first piece of text.

use super::super::answer::Answer;
use super::super::client::crowd;
use super::super::figures::{Figures, median, millis};
use super::super::target::Api;
use super::Bench;
use anyhow::Result;

struct Asked {
    name: &'static str,
    api: Api,
    answer: Answer,
    goal: &'static str,
    /// Of the first piece of text.
    first: Option<&'static str>,
}

const STEP: Answer = Answer { tool: true, ..Answer::USUAL };

/// As many events as a call of a tool has.
const SHORT: Answer = Answer { chunks: 1, ..Answer::USUAL };

const ASKED: [Asked; 5] = [
    Asked {
        name: "chat, whole",
        api: Api::Chat { stream: false },
        answer: Answer::USUAL,
        goal: "over direct ≤ 0.25",
        first: None,
    },
    Asked {
        name: "chat, streamed",
        api: Api::Chat { stream: true },
        answer: Answer::USUAL,
        goal: "over direct ≤ 0.25",
        first: Some("over direct ≤ 0.3"),
    },
    Asked {
        name: "responses, not stored",
        api: Api::Responses { store: false },
        answer: Answer::USUAL,
        goal: "over direct ≤ 0.4",
        first: Some("over direct ≤ 0.3"),
    },
    Asked {
        name: "responses, stored",
        api: Api::Responses { store: true },
        answer: Answer::USUAL,
        goal: "over direct ≤ 1.2",
        first: Some(""),
    },
    Asked { name: "chat, with one tool step", api: Api::Chat { stream: true }, answer: STEP, goal: "", first: None },
];

pub async fn rows(bench: &Bench) -> Result<Vec<Figures>> {
    let mut rows = Vec::new();
    for asked in &ASKED {
        let mut whole = Figures::new(format!("{}: p50, one client", asked.name), "ms").goal(asked.goal);
        let mut first = Figures::new(format!("{}: p50 to the first text", asked.name), "ms");
        first.goal = asked.first;
        for _ in 0..bench.plan.rounds {
            for target in bench.targets() {
                // A tool step is a call more; who runs no tools is asked for the answer alone.
                let answer = if target.responses { asked.answer } else { Answer::USUAL };
                let crowd = crowd(target.address, &target.ask(asked.api, &answer), 1, bench.plan.turn).await?;
                let times = |pick: fn(&(_, _)) -> _| -> Vec<f64> { crowd.reads.iter().map(pick).map(millis).collect() };
                whole.add(&target.name, median(&times(|(_, whole)| *whole)));
                first.add(&target.name, median(&times(|(first, _)| *first)));
            }
        }
        rows.push(whole);
        rows.extend(asked.first.map(|_| first));
    }
    rows.push(step(bench).await?);
    Ok(rows)
}

/// What is left of a step with a tool that does nothing, without the two model calls of its turn.
async fn step(bench: &Bench) -> Result<Figures> {
    let mut row = Figures::new("a tool step: beyond its two model calls", "ms").goal("≤ 0.2");
    let target = bench.nuncio();
    for _ in 0..bench.plan.rounds {
        let mut took = Vec::new();
        for answer in [STEP, SHORT, Answer::USUAL] {
            let ask = target.ask(Api::Chat { stream: true }, &answer);
            let crowd = crowd(target.address, &ask, 1, bench.plan.turn).await?;
            took.push(median(&crowd.reads.iter().map(|(_, whole)| millis(*whole)).collect::<Vec<_>>()));
        }
        row.add(
            &target.name,
            took.iter().skip(1).fold(took.first().copied().unwrap_or(f64::NAN), |left, call| left - call),
        );
    }
    Ok(row)
}
