//! What the runs of a profile are equipped with.

use super::requested::Requested;
use super::servers::Tools;
use super::told::Told;
use crate::config::{Config, profiles};
use crate::core::asked::AskedServer;
use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use crate::runs::{Delegations, Runs};
use crate::tools::delegate::{Delegate, Delegating};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// What a profile needs to hand tasks on, if it may.
pub fn delegating(profile: &profiles::Profile, config: &Config, runs: &Arc<Runs>) -> Option<Delegating> {
    let to = profile.delegates.iter().map(|id| {
        let description = config.profiles.get(id).and_then(|profile| profile.description.clone());
        Delegate { profile: id.clone(), description }
    });
    (!profile.delegates.is_empty()).then(|| Delegating {
        to: to.collect(),
        time_limit: profile.limits.wall_time,
        port: Arc::new(Delegations::new(runs)),
    })
}

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
