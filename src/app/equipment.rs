//! What the runs of a profile are equipped with.

use super::told::Told;
use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use crate::tools::registry::ToolSet;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// The daemon's own tools, the same for every run, and what they tell of.
pub struct Own {
    pub tools: ToolSet,
    pub told: Told,
}

impl Equipment for Own {
    fn equip<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        Box::pin(async { Ok(Equipped { tools: Arc::new(self.tools.clone()), told: self.told.to(who).await }) })
    }
}
