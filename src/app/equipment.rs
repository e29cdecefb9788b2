//! What the runs of a profile are equipped with.

use super::servers::Tools;
use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The tools there are, the same for everybody.
pub struct Common(pub Tools);

impl Equipment for Common {
    fn equip<'a>(&'a self, _: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        async { Ok(Equipped { tools: self.0.now().await, told: Vec::new() }) }.boxed()
    }
}
