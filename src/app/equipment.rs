//! What the runs of a profile are equipped with.

use crate::config::{Config, profiles};
use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use crate::runs::{Delegations, Runs};
use crate::tools::delegate::{Delegate, Delegating};
use crate::tools::registry::ToolSet;
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

/// The daemon's own tools, the same for every run.
pub struct Fixed(pub ToolSet);

impl Equipment for Fixed {
    fn equip<'a>(&'a self, _: &'a Who) -> BoxFuture<'a, Result<Equipped, Failure>> {
        let equipped = Equipped { tools: Arc::new(self.0.clone()), told: Vec::new() };
        std::future::ready(Ok(equipped)).boxed()
    }
}
