//! Names to addresses, behind a trait so that tests bring names of their own.

use futures_util::future::BoxFuture;
use std::io;
use std::net::SocketAddr;

/// Finds the addresses of a host. Their port is not looked at.
pub trait Lookup: Send + Sync {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// As the system does it, `/etc/hosts` and all.
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}
