//! The port to what a run is equipped with: the tools that it offers, and what its model is told besides the profile's
//! instructions. It is asked when a run begins, as servers of tools come and go, and notes change.

use super::tool::{Toolset, Who};
use crate::core::asked::AskedServer;
use crate::core::failure::{Failure, FailureKind};
use futures_util::future::BoxFuture;
use std::sync::Arc;

pub trait Equipment: Send + Sync {
    /// Fails only where the run cannot be without what is missing.
    fn equip<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>>;

    /// Whether there are servers that a request may name.
    fn takes_servers(&self) -> bool {
        false
    }

    /// The same and the tools of servers that the request names. They are let go with the tools. Fails where one may not
    /// be named, or does not answer.
    fn join<'a>(&'a self, equipped: Equipped, servers: &'a [AskedServer]) -> BoxFuture<'a, Result<Equipped, Failure>> {
        let _ = equipped;
        let fault = Failure::new(FailureKind::InvalidRequest, "This model takes no servers that a request names.");
        let field = servers.first().map(|server| server.field.as_str()).unwrap_or_default();
        Box::pin(std::future::ready(Err(fault.with_param(field))))
    }
}

/// What one run is equipped with, unchanged until it is over.
#[derive(Clone)]
pub struct Equipped {
    pub tools: Arc<dyn Toolset>,
    /// Further paragraphs of the core prompt, in order.
    pub told: Vec<Arc<str>>,
}
