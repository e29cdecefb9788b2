//! What the runs of a profile are equipped with.

use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use crate::tools::registry::ToolSet;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// The daemon's own tools, the same for every run.
pub struct Fixed(pub ToolSet);

impl Equipment for Fixed {
    fn equip<'a>(&'a self, _: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        let equipped = Equipped { tools: Arc::new(self.0.clone()), told: Vec::new() };
        std::future::ready(Ok(equipped)).boxed()
    }
}
