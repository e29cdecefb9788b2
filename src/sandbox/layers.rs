//! The layers around a command, one file each. What may go wrong in them is told with the layer's name.

pub(super) mod capabilities;
pub(super) mod group;
pub(super) mod landlock;
pub(super) mod limits;
pub(super) mod mounts;
pub(super) mod namespaces;
pub(super) mod syscalls;
pub(super) mod system;
pub(super) mod user;

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::policy::Layer;

/// Why a command was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    /// A layer could not be put on.
    Layer(Layer, String),
    /// The command itself is at fault, or what it runs in.
    Command(String),
}

/// Names the layer that something went wrong in.
pub(super) fn at(layer: Layer, error: impl Display) -> Refusal {
    Refusal::Layer(layer, error.to_string())
}
