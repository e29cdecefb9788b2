//! The tools that a model is offered, as runs share them.

use super::ToolSpec;
use bytes::Bytes;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A list that does not change. Cheap to clone: schemas are large, and most runs are offered the same.
#[derive(Clone, Debug, Default)]
pub struct ToolList(Arc<List>);

#[derive(Debug, Default)]
struct List {
    specs: Vec<ToolSpec>,
    written: OnceLock<Bytes>,
}

impl ToolList {
    /// The list as an upstream is sent it, written once for all model calls that offer it: there is one form of it.
    pub fn written(&self, write: impl FnOnce(&[ToolSpec]) -> Vec<u8>) -> Bytes {
        self.0.written.get_or_init(|| write(&self.0.specs).into()).clone()
    }
}

impl Deref for ToolList {
    type Target = [ToolSpec];

    fn deref(&self) -> &[ToolSpec] {
        &self.0.specs
    }
}

impl PartialEq for ToolList {
    fn eq(&self, other: &Self) -> bool {
        self.0.specs == other.0.specs
    }
}

impl FromIterator<ToolSpec> for ToolList {
    fn from_iter<I: IntoIterator<Item = ToolSpec>>(specs: I) -> Self {
        Self(Arc::new(List { specs: specs.into_iter().collect(), written: OnceLock::new() }))
    }
}

impl<const N: usize> From<[ToolSpec; N]> for ToolList {
    fn from(specs: [ToolSpec; N]) -> Self {
        specs.into_iter().collect()
    }
}
