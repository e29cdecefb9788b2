//! What an agent gateway costs: `cargo bench --bench gateway`. It starts all it needs on loopback, an upstream that says
//! what it is told to, a proxy that only passes bytes on, and the daemon, and measures them in turn, so that each figure
//! can be held against those of the same minute. `-- --help` has the options.
//!
//! Without `--bench`, as `cargo test` calls it, every row runs for a moment, to see that it still does.

mod answer;
mod client;
mod figures;
mod machine;
mod passthrough;
mod processes;
mod report;
mod rows;
mod soak;
mod target;
mod upstream;

use anyhow::Result;
use clap::Parser;
use report::Report;
use rows::Plan;
use std::time::Duration;

/// Measures the daemon against its upstream and against a proxy that only passes bytes on.
#[derive(Parser)]
struct Options {
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Rows to measure: those whose name has this in it. Default: all.
    rows: Vec<String>,
    /// How often each target has its turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Milliseconds of one turn.
    #[arg(long, default_value_t = 1500)]
    turn: u64,
    /// Another server to put beside: `NAME=BASE_URL,MODEL[,KEY]`, with a base URL that ends in /v1, at loopback. What is
    /// behind it should answer as fast as the upstream here does, or the figures say nothing.
    #[arg(long)]
    peer: Vec<String>,
    /// Seconds of everything at once instead, to see that nothing grows.
    #[arg(long)]
    soak: Option<u64>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// What this process is to be.
    #[arg(long, hide = true)]
    role: Option<String>,
    /// The address that the proxy passes to.
    #[arg(long, hide = true)]
    to: Option<std::net::SocketAddr>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    match (options.role.as_deref(), options.to) {
        (Some("upstream"), _) => runtime.block_on(upstream::serve()),
        (Some("passthrough"), Some(to)) => runtime.block_on(passthrough::serve(to)),
        (Some(role), _) => anyhow::bail!("there is no role {role}"),
        (None, _) => match options.soak {
            Some(seconds) => runtime.block_on(soak::soak(Duration::from_secs(seconds))),
            None => runtime.block_on(measure(&options)),
        },
    }
}

async fn measure(options: &Options) -> Result<()> {
    let plan = match options.bench {
        true => Plan::full(options.rounds.max(1), Duration::from_millis(options.turn)),
        false => Plan::glance(),
    };
    let busy = machine::busy().await;
    let bench = rows::Bench::start(plan, &options.peer).await?;
    let mut report = Report::new(busy);
    for (name, row) in rows::ALL {
        if options.rows.is_empty() || options.rows.iter().any(|wanted| name.contains(wanted.as_str())) {
            eprintln!("measuring {name}");
            for figures in row(&bench).await? {
                report.add(figures);
            }
        }
    }
    report.print(options.json)
}
