//! What the runs of a profile are equipped with.

use super::requested::Requested;
use super::servers::Tools;
use super::told::Told;
use crate::core::asked::AskedServer;
use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The tools there are, the same for everybody, and what the daemon's own tell of.
pub struct Common {
    pub tools: Tools,
    pub told: Told,
    pub requested: Requested,
}

impl Equipment for Common {
    fn equip<'a>(&'a self, who: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        async { Ok(Equipped { tools: self.tools.now().await, told: self.told.to(who).await }) }.boxed()
    }

    fn takes_servers(&self) -> bool {
        self.requested.takes_any()
    }

    fn join<'a>(&'a self, equipped: Equipped, servers: &'a [AskedServer]) -> BoxFuture<'a, Result<Equipped, Failure>> {
        self.requested.join(equipped, servers).boxed()
    }
}
