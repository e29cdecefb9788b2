//! What the runs of a profile are equipped with.

use super::told::Told;
use crate::config::{Config, profiles};
use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use crate::runs::{Delegations, Runs};
use crate::tools::delegate::{Delegate, Delegating};
use crate::tools::registry::ToolSet;
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
