//! The life of the daemon: it listens, serves, and ends when it is told to.

use super::gateway::{Edges, gateway};
use super::sandbox::Sandbox;
use super::{AppError, commands_lock, fault_of, greeting, store, upstreams, workspaces};
use crate::config::{Config, Loaded};
use crate::http::{CommandsGone, carry_on, router, serve};
use crate::runs::Runs;
use crate::{shutdown, system};
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What connections get to take their last bytes after all runs have ended.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What runs and connections get together after a second signal: enough for who reads.
const LAST_WORDS_IN_A_HURRY: Duration = Duration::from_millis(200);

/// For commands of a daemon that was killed, which die with it.
const LAST_COMMANDS: Duration = Duration::from_secs(5);

/// Serves until a signal, and then for as long as the configuration lets runs go on.
pub async fn serve(mut loaded: Loaded) -> Result<(), AppError> {
    system::keep_to_ourselves();
    system::raise_open_files(loaded.config.server.max_runs);
    let mut signals = shutdown::Signals::listen().map_err(fault_of("signals cannot be listened for"))?;
    let source = upstreams::settle(&mut loaded).await;
    let config = &loaded.config;
    let sandbox = make_folders(config).await?;
    let edges = Edges::new(config, sandbox)?;
    let gateway = Arc::new(gateway(config, store::open(config)?, &edges)?);
    let runs = Arc::clone(&gateway.runs);
    let gone = commands_gone(config);
    // Before this daemon starts commands of its own, which would be waited for as well.
    if timeout(LAST_COMMANDS, gone.clone()).await.is_err() {
        tracing::warn!("commands of the last daemon do not end; runs that it has left wait for that");
    }
    edges.sandbox.make_folders(config).map_err(|source| AppError::DataDir { path: config.data_dir.clone(), source })?;
    // Before anything is begun that would be broken off if there is no port. Who connects meanwhile waits.
    let listener = system::listen(&config.server.host, config.server.port)
        .await
        .map_err(|source| AppError::Listen { host: config.server.host.clone(), port: config.server.port, source })?;
    let address = listener.local_addr().map_err(fault_of("the address is unknown"))?;
    edges.hub.start();
    carry_on(&gateway, &gone).await;
    let stop = CancellationToken::new();
    let server = serve::serve(listener, router(gateway), config.server.slow_client_timeout, stop.clone());
    tokio::pin!(server);
    greeting::print(&loaded, address, &source, &edges.sandbox.summary(&loaded.config));
    shutdown::tell_ready();
    tokio::select! {
        () = server.as_mut() => return Ok(()),
        () = shutdown::feed_watchdog() => {}
        () = runs.leases.keep() => {}
        () = signals.next() => {}
    }
    shutdown::tell_stopping();
    tracing::info!(runs = runs.in_flight(), "stopping");
    tokio::select! {
        () = server.as_mut() => {}
        () = runs.leases.keep() => {}
        () = wind_down(&runs, config.server.shutdown_grace, &stop, signals.next()) => {}
    }
    // Not before, as a run may still have needed them.
    edges.end().await;
    tracing::info!("stopped");
    Ok(())
}

/// Resolves once nothing is left of the commands that the last daemon of this data folder had started.
fn commands_gone(config: &Config) -> CommandsGone {
    let lock = commands_lock(config);
    let gone = async move {
        if let Err(error) = lock.is_free().await {
            tracing::error!(%error, "whether commands of the last daemon are left cannot be told");
        }
    };
    gone.boxed().shared()
}

/// Lets runs go on for `grace`, then tells the server to stop and waits for its clients; all of it only until `again`,
/// the second signal.
async fn wind_down(runs: &Runs, grace: Duration, stop: &CancellationToken, again: impl Future<Output = ()>) {
    let hurry = CancellationToken::new();
    let in_order = async {
        runs.drain(grace, hurry.cancelled()).await;
        stop.cancel();
        tokio::time::sleep(LAST_WORDS).await;
    };
    let at_once = async {
        again.await;
        hurry.cancel();
        tokio::time::sleep(LAST_WORDS_IN_A_HURRY).await;
    };
    tokio::select! {
        () = in_order => {}
        () = at_once => {}
    }
}

/// Makes what is worked in, and finds out what can be kept from it.
async fn make_folders(config: &Config) -> Result<Sandbox, AppError> {
    let fault = |source| AppError::DataDir { path: config.data_dir.clone(), source };
    system::private_folder(&workspaces(&config.data_dir)?).map_err(fault)?;
    Sandbox::find(config).await
}
