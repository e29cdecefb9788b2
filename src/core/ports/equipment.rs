//! The port to what a run is equipped with: the tools that it offers, and what its model is told besides the profile's
//! instructions. It is asked when a run begins, as servers of tools come and go, and notes change.

use super::tool::{Toolset, Who};
use crate::core::failure::Failure;
use futures_util::future::BoxFuture;
use std::sync::Arc;

pub trait Equipment: Send + Sync {
    /// Fails only where the run cannot be without what is missing.
    fn equip<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>>;
}

/// What one run is equipped with, unchanged until it is over.
#[derive(Clone)]
pub struct Equipped {
    pub tools: Arc<dyn Toolset>,
    /// Further paragraphs of the core prompt, in order.
    pub told: Vec<Arc<str>>,
}
