//! Ids of runs and of what a run makes: derived from the run's uuid, so that a replayed run gives the same ids.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Names one run. Made outside the core (a uuid v7 needs a clock) and handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id of the `number`th item of this run, e.g. `msg_0192…0003`.
    pub fn item(&self, prefix: &str, number: u32) -> String {
        format!("{prefix}_{}{number:04x}", self.0.simple())
    }

    /// The id of the `number`th tool call: unique over all runs, and no longer than the 40 characters OpenAI takes.
    pub fn call(&self, number: u32) -> String {
        format!("call_{}{number:03x}", self.0.simple())
    }

    /// The id a client sees for the whole answer, e.g. `chatcmpl-0192…` or `resp_0192…`.
    pub fn answer(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.0.simple())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run_{}", self.0.simple())
    }
}
