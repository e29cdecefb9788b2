//! `store:` where sessions are kept.

use serde::Deserialize;

use super::{error::Problems, value};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub kind: StoreKind,
    /// Sessions remembered; the least recently used goes first.
    #[serde(deserialize_with = "value::number")]
    pub max_sessions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// Gone when the daemon ends.
    Memory,
}

impl Default for Store {
    fn default() -> Self {
        Self { kind: StoreKind::Memory, max_sessions: 10_000 }
    }
}

impl Store {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.expect(self.max_sessions > 0, "store.max_sessions", "expected more than 0");
    }
}
