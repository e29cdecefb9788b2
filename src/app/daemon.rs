//! The life of the daemon: it listens, serves, and ends when it is told to.

use super::{AppError, fault_of, gateway, greeting, upstreams, workspaces};
use crate::config::{Config, Loaded};
use crate::http::{router, serve};
use crate::{shutdown, system};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What connections get to take their last bytes after all runs have ended.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What runs and connections get together after a second signal: enough for who reads.
const LAST_WORDS_IN_A_HURRY: Duration = Duration::from_millis(200);

/// Serves until a signal, and then for as long as the configuration lets runs go on.
pub async fn serve(mut loaded: Loaded) -> Result<(), AppError> {
    system::raise_open_files(loaded.config.server.max_runs);
    let mut signals = shutdown::Signals::listen().map_err(fault_of("signals cannot be listened for"))?;
    let source = upstreams::settle(&mut loaded).await;
    let config = &loaded.config;
    make_folders(config)?;
    let gateway = Arc::new(gateway(config)?);
    let runs = Arc::clone(&gateway.runs);
    let listener = system::listen(&config.server.host, config.server.port)
        .await
        .map_err(|source| AppError::Listen { host: config.server.host.clone(), port: config.server.port, source })?;
    let address = listener.local_addr().map_err(fault_of("the address is unknown"))?;
    let stop = CancellationToken::new();
    let server = serve::serve(listener, router(gateway), config.server.slow_client_timeout, stop.clone());
    tokio::pin!(server);
    greeting::print(&loaded, address, &source);
    shutdown::tell_ready();
    tokio::select! {
        () = server.as_mut() => return Ok(()),
        () = shutdown::feed_watchdog() => {}
        () = signals.next() => {}
    }
    shutdown::tell_stopping();
    tracing::info!(runs = runs.in_flight(), "stopping");
    let hurry = CancellationToken::new();
    let drained = async {
        runs.drain(config.server.shutdown_grace, hurry.cancelled()).await;
        stop.cancel();
        tokio::time::sleep(LAST_WORDS).await;
    };
    let hurried = async {
        signals.next().await;
        hurry.cancel();
        tokio::time::sleep(LAST_WORDS_IN_A_HURRY).await;
    };
    tokio::select! {
        () = server.as_mut() => {}
        () = drained => {}
        () = hurried => {}
    }
    tracing::info!("stopped");
    Ok(())
}

fn make_folders(config: &Config) -> Result<(), AppError> {
    let workspaces = workspaces(&config.data_dir)?;
    // The one above it too, if it is not there.
    system::private_folder(&workspaces).map_err(|source| AppError::DataDir { path: config.data_dir.clone(), source })
}
