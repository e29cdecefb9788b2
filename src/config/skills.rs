//! `skills:` where the skills are that profiles offer.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Skills {
    /// Folders of skill folders, the first of two skills with the same name counting. Absolute once loaded.
    pub paths: Vec<PathBuf>,
}
