//! A long chain of responses: what a turn costs when there are many before it.

use super::super::answer::{Answer, TOKEN};
use super::super::client::{Connection, Keep};
use super::super::figures::{Figures, median, millis};
use super::super::processes::Process;
use super::super::target::Target;
use super::Bench;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// Turns around the one that is looked at: one alone says little.
const AROUND: usize = 10;

pub async fn rows(bench: &Bench) -> Result<Vec<Figures>> {
    // Of its own, so that what is on disk is the chain alone.
    let daemon = Process::daemon(bench.upstream.address)?;
    let target = Target::new("nuncio", daemon.address, "nuncio", true);
    let mut connection = Connection::open(target.address).await?;
    let (early, late) = (AROUND.min(bench.plan.chain / 2), bench.plan.chain);
    let (mut times, mut stored, mut previous) = (Vec::new(), vec![daemon.stored()], None::<String>);
    for turn in 0..late {
        let body = json!({"model": target.model, "input": message(turn), "previous_response_id": previous});
        let read = connection.ask(&target.post("responses", &body), Keep::Body).await?;
        let response: Value = serde_json::from_slice(&read.body)?;
        previous = Some(response.get("id").and_then(Value::as_str).context("a response without an id")?.to_owned());
        times.push(read.whole);
        if turn + 1 == early || turn + 1 == late {
            stored.push(daemon.stored());
        }
    }
    // What the upstream alone takes for as much history.
    let direct = |turns: usize| alone(bench, turns);
    let own = |turns: usize, upstream: f64| {
        let around: Vec<f64> = times.iter().take(turns).rev().take(AROUND).copied().map(millis).collect();
        median(&around) - upstream
    };
    let (of_early, of_late) = (own(early, direct(early).await?), own(late, direct(late).await?));
    let kept = (stored.last().unwrap_or(&0.0) - stored.first().unwrap_or(&0.0)) / late as f64;
    Ok(vec![
        Figures::once(format!("chain: turn {early}, the upstream's time taken out"), "ms", of_early),
        Figures::once(format!("chain: turn {late}, the upstream's time taken out"), "ms", of_late),
        Figures::once(format!("chain: turn {late} against turn {early}"), "×", of_late / of_early).goal("≤ 2"),
        Figures::once("chain: on disk a turn", "bytes", kept),
    ])
}

fn message(turn: usize) -> String {
    format!("Question {turn}. {}", Answer::USUAL.message())
}

/// The p50 of the upstream for a conversation of so many turns.
async fn alone(bench: &Bench, turns: usize) -> Result<f64> {
    let answer = format!("{TOKEN} ").repeat(Answer::USUAL.chunks);
    let turn =
        |turn| [json!({"role": "user", "content": message(turn)}), json!({"role": "assistant", "content": answer})];
    let mut messages: Vec<Value> = (0..turns).flat_map(turn).collect();
    messages.pop();
    let target: Target = bench.direct();
    let ask = target.chat(true, Value::Array(messages));
    let mut connection = Connection::open(target.address).await?;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..2 * AROUND {
        times.push(connection.ask(&ask, Keep::Nothing).await?.whole);
    }
    Ok(median(&times.into_iter().map(millis).collect::<Vec<_>>()))
}
