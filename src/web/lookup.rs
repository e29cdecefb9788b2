//! Names to addresses, behind a trait so that tests bring names of their own.

use futures_util::future::BoxFuture;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use tokio::sync::Semaphore;

/// Finds the addresses of a host. Their port is not looked at.
pub trait Lookup: Send + Sync {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// As the system does it, `/etc/hosts` and all.
pub struct SystemLookup;

/// Lookups at work. One cannot be called off and may take its time, so without a limit a few names whose servers never
/// answer could hold all threads that may block.
static AT_WORK: Semaphore = Semaphore::const_new(32);

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let place = AT_WORK.acquire().await.map_err(io::Error::other)?;
            let work = move || {
                let _place = place;
                Ok((name.as_str(), 0).to_socket_addrs()?.collect())
            };
            tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let found = SystemLookup.lookup("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
