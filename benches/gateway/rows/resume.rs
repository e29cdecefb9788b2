//! Coming back to a response: one that is over, and one that goes on.

use super::super::answer::Answer;
use super::super::client::{Connection, Keep};
use super::super::figures::{Figures, millis};
use super::super::target::Target;
use super::Bench;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;

/// How often each is come back to in a round.
const TIMES: usize = 20;

/// Long enough to be come back to again and again.
const SLOW: Answer = Answer { chunks: 200, delay: Duration::from_millis(20), tool: false };

pub async fn rows(bench: &Bench) -> Result<Vec<Figures>> {
    let target = bench.nuncio();
    let mut over = Figures::new("resume of a response that is over, 22 events: whole", "ms");
    let mut live = Figures::new("resume of a live response: to the first text", "ms");
    let mut connection = Connection::open(target.address).await?;
    let done = begun(&target, &mut connection, &Answer::USUAL, false).await?;
    let under_way = begun(&target, &mut connection, &SLOW, true).await?;
    for _ in 0..TIMES.min(bench.plan.rounds * 3) {
        let ask = target.get(&format!("responses/{done}?stream=true&starting_after=2"));
        over.add("nuncio", millis(connection.ask(&ask, Keep::Nothing).await?.whole));
        live.add("nuncio", millis(first_text(&target, &under_way).await?));
    }
    let cancel = target.post(&format!("responses/{under_way}/cancel"), &json!({}));
    connection.ask(&cancel, Keep::Nothing).await?;
    Ok(vec![over, live])
}

/// Starts a response and gives its id.
async fn begun(target: &Target, connection: &mut Connection, answer: &Answer, background: bool) -> Result<String> {
    let body = json!({"model": target.model, "input": answer.message(), "background": background});
    let read = connection.ask(&target.post("responses", &body), Keep::Body).await?;
    let response: Value = serde_json::from_slice(&read.body)?;
    Ok(response.get("id").and_then(Value::as_str).context("a response without an id")?.to_owned())
}

/// Attaches from the beginning, and leaves with the first text.
async fn first_text(target: &Target, id: &str) -> Result<Duration> {
    let ask = target.get(&format!("responses/{id}?stream=true"));
    Connection::open(target.address).await?.first(&ask).await
}
