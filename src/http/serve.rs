//! The accept loop: HTTP/1.1 connections and the WebSockets they become, each in a tracked task.

use super::socket::Socket;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A client has this long to send the head of a request; a connection that waits for its next one is closed after it.
const HEAD_TIME: Duration = Duration::from_secs(75);

/// A client that has sent a broken request and closed its half still gets the answer that says so.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// The tasks of all connections, which the server waits for when it stops.
#[derive(Clone, Default)]
pub struct Connections(TaskTracker);

impl Connections {
    /// Lets a connection live on after it has stopped speaking HTTP.
    pub fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(connection);
    }
}

/// Serves until `stop`, then lets the requests in hand end. The caller bounds that by dropping the future. A client that
/// takes nothing of its answer for `slow_client_timeout` is cut off.
pub async fn serve(listener: TcpListener, router: Router, slow_client_timeout: Duration, stop: CancellationToken) {
    let connections = Connections::default();
    let router = router.layer(Extension(connections.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted.and_then(|(stream, _)| Socket::new(stream, slow_client_timeout)),
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(socket) => {
                connections.spawn(connection(socket, router.clone(), stop.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: it passes when connections end.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.0.close();
    connections.0.wait().await;
}

async fn connection(socket: Socket, router: Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let connection = http.serve_connection(TokioIo::new(socket.clone()), TowerToHyperService::new(router));
    let connection = connection.with_upgrades();
    tokio::pin!(connection);
    let served = async {
        tokio::select! {
            served = connection.as_mut() => served,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    tokio::select! {
        biased;
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended");
        },
        () = async { socket.hung_up().await; tokio::time::sleep(LAST_WORDS).await } => tracing::debug!("a client hung up"),
    }
}
