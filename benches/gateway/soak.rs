//! A long time of everything at once, to see that nothing grows: `benches/soak.sh`.

use super::answer::Answer;
use super::client::{Connection, Keep};
use super::processes::Process;
use super::target::{Api, Target};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// Clients of each kind.
const CLIENTS: usize = 4;

/// Turns of a chain before the next one is begun.
const CHAIN: usize = 50;

/// How often the daemon is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How much larger the daemon may be at the end than it was when it had warmed up.
const SLACK: f64 = 1.15;

/// What the daemon holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    memory: f64,
    files: usize,
}

/// Runs for so long, of which the first fifth is to warm up. Fails if the daemon grows after that, or an answer is wrong.
pub async fn soak(time: Duration) -> Result<()> {
    let upstream = Process::role("upstream", None)?;
    // Small enough to be full long before the end: what is kept must not grow either.
    let daemon = Process::configured(upstream.address, "store: {max_responses: 200}\n")?;
    let target = Target::new("nuncio", daemon.address, "nuncio", true);
    let (begun, end) = (Instant::now(), Instant::now() + time);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(until(end, streams(target.clone())));
        clients.spawn(until(end, tools(target.clone())));
        clients.spawn(until(end, leavers(target.clone())));
        clients.spawn(until(end, chains(target.clone())));
    }
    let mut looks = Vec::new();
    while Instant::now() < end {
        sleep(LOOK.min(time / 20)).await;
        let look = Look { memory: daemon.resident() / f64::from(1 << 20), files: daemon.open_files() };
        println!("{:5} s  {:6.1} MiB  {} files", begun.elapsed().as_secs(), look.memory, look.files);
        looks.push(look);
    }
    let mut answers = 0;
    while let Some(client) = clients.join_next().await {
        answers += client??;
    }
    let (warm, rest) = looks.split_at(looks.len() / 5 + 1);
    let most = |looks: &[Look]| looks.iter().map(|look| look.memory).fold(0.0, f64::max);
    let (before, after) = (most(warm), most(rest));
    println!("{answers} answers; at most {before:.1} MiB while warming up, {after:.1} MiB after that");
    ensure!(after <= before * SLACK, "the daemon has grown");
    Ok(())
}

type Client = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Lets a client ask again and again until the end, and says how often it did.
async fn until(end: Instant, mut ask: impl FnMut() -> Client) -> Result<usize> {
    let mut asked = 0;
    while let Ok(done) = timeout_at(end, ask()).await {
        done?;
        asked += 1;
    }
    Ok(asked)
}

async fn once(target: Target, api: Api, answer: Answer) -> Result<()> {
    let mut connection = Connection::open(target.address).await?;
    let read = connection.ask(&target.ask(api, &answer), Keep::Nothing).await?;
    ensure!(read.tokens >= answer.chunks, "{} of {} tokens", read.tokens, answer.chunks);
    Ok(())
}

fn streams(target: Target) -> impl FnMut() -> Client {
    let paced = Answer { chunks: 40, delay: Duration::from_millis(5), tool: false };
    move || Box::pin(once(target.clone(), Api::Responses { store: false }, paced))
}

fn tools(target: Target) -> impl FnMut() -> Client {
    move || Box::pin(once(target.clone(), Api::Chat { stream: true }, Answer { tool: true, ..Answer::USUAL }))
}

/// Those who leave in the middle of an answer.
fn leavers(target: Target) -> impl FnMut() -> Client {
    let slow = Answer { chunks: 400, delay: Duration::from_millis(5), tool: false };
    move || {
        let target = target.clone();
        Box::pin(async move {
            let connection = Connection::open(target.address).await?;
            connection.first(&target.ask(Api::Chat { stream: true }, &slow)).await?;
            Ok(())
        })
    }
}

fn chains(target: Target) -> impl FnMut() -> Client {
    move || Box::pin(chain(target.clone()))
}

async fn chain(target: Target) -> Result<()> {
    let (mut connection, mut previous) = (Connection::open(target.address).await?, None::<String>);
    for _ in 0..CHAIN {
        let body = json!({"model": target.model, "input": Answer::USUAL.message(), "previous_response_id": previous});
        let read = connection.ask(&target.post("responses", &body), Keep::Body).await?;
        let response: Value = serde_json::from_slice(&read.body)?;
        previous = Some(response.get("id").and_then(Value::as_str).context("a response without an id")?.to_owned());
    }
    Ok(())
}
