//! What the daemon's own tools have to tell the model of a run when it begins.

use crate::core::ports::tool::Who;
use crate::tools::memory::{self, Memory};
use crate::tools::registry::ToolSet;
use crate::tools::skills::Skills;
use crate::tools::{Means, skill};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a run waits for a look at the skills, which may be on a disk that hangs.
const LOOK: Duration = Duration::from_secs(2);

/// Of one profile; what it does not offer has nothing to tell.
pub struct Told {
    memory: Option<Memory>,
    skills: Option<Skills>,
}

impl Told {
    /// Of the tools that a profile offers, with what they stand on.
    pub fn of(tools: &ToolSet, Means { memory, skills, .. }: Means) -> Self {
        let offers = |name: &str| tools.get(name).is_some();
        Self { memory: memory.filter(|_| offers(memory::NAME)), skills: skills.filter(|_| offers(skill::NAME)) }
    }

    /// The skills first: they change less often than the notes, and a prompt is kept by its beginning.
    pub async fn to(&self, who: &Who) -> Vec<Arc<str>> {
        let skills = match &self.skills {
            Some(skills) => self::skills(skills).await,
            None => None,
        };
        let notes = match &self.memory {
            Some(memory) => memory.told(who).await,
            None => None,
        };
        [skills, notes].into_iter().flatten().map(Into::into).collect()
    }
}

async fn skills(skills: &Skills) -> Option<String> {
    let looking = skills.clone();
    let look = tokio::task::spawn_blocking(move || looking.look());
    let catalogue = match timeout(LOOK, look).await {
        Ok(Ok(catalogue)) => catalogue,
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("the folders of the skills do not answer; the run has those of the last look");
            skills.known()
        }
    };
    catalogue.told()
}
