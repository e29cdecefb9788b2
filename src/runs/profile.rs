//! A profile at run time: the agent behind a model id, joined with what carries it out.

use crate::core::failure::Failure;
use crate::core::ports::equipment::{Equipment, Equipped};
use crate::core::ports::tool::Who;
use crate::core::ports::upstream::Upstream;
use crate::core::run::{Agent, OnDisconnect};
use crate::dialect::activity::ToolActivity;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Made once at start and shared by every run of the profile.
pub struct Profile {
    /// The model id that clients ask for.
    pub id: String,
    /// For people who choose among the models.
    pub description: Option<String>,
    /// As it is before a run equips it.
    pub agent: Arc<Agent>,
    pub upstream: Arc<dyn Upstream>,
    /// What its runs get besides.
    pub equipment: Arc<dyn Equipment>,
    pub tool_activity: ToolActivity,
    /// Unless the request says otherwise.
    pub on_disconnect: OnDisconnect,
    /// A response without instructions takes those of the one that it goes on from, as Hermes does. The standard does not.
    pub inherit_instructions: bool,
    /// A fixed folder for every session, instead of one each.
    pub workspace: Option<Arc<Path>>,
    /// The same agent without instructions and tools, for the titles and tags that frontends ask for on the side.
    pub housekeeping: Arc<Agent>,
}

/// All profiles of a daemon, by id.
pub type Profiles = Arc<BTreeMap<String, Arc<Profile>>>;

impl Profile {
    /// The agent of one run, and its tools.
    pub async fn equip(&self, who: &Who) -> Result<(Arc<Agent>, Equipped), Failure> {
        let equipped = self.equipment.equip(who).await?;
        Ok((Arc::new(self.agent.equipped(&equipped)), equipped))
    }

    pub fn who(&self, principal: &Arc<str>, user: Option<Arc<str>>) -> Who {
        Who { principal: Arc::clone(principal), user, profile: self.id.as_str().into() }
    }

    /// What a plain model call of this profile needs: its sampling and limits alone.
    pub fn housekeeping_of(agent: &Agent) -> Arc<Agent> {
        Arc::new(Agent {
            limits: agent.limits.clone(),
            sampling: agent.sampling.clone(),
            format_support: agent.format_support,
            ..Agent::default()
        })
    }
}
