//! What a client asks of a run, whatever the dialect it asked in.

use crate::core::asked::AskedServer;
use crate::core::format::OutputFormat;
use crate::core::item::Item;
use crate::core::ports::tool::ToolSpec;
use crate::core::ports::upstream::ToolChoice;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A request, understood. What the profile adds to it is in [`super::Agent`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSpec {
    /// The conversation so far and what is new, in order, with the client's own system text where it put it.
    pub input: Vec<Arc<Item>>,
    /// `None`: the request names no tools, so the server's are offered alone. `Some([])`: no tools at all.
    pub tools: Option<Vec<ToolSpec>>,
    /// Servers whose tools are offered besides, in this run alone.
    pub servers: Vec<AskedServer>,
    pub tool_choice: ToolChoice,
    /// The only tools that may be called, the server's included; `None` allows all that are offered.
    pub allowed_tools: Option<Vec<String>>,
    /// The form of the final answer; `None` leaves it to the profile.
    pub format: Option<Arc<OutputFormat>>,
    /// Chat names and values of everything else that goes to the model, fields we do not know included.
    pub params: Map<String, Value>,
    /// Tokens the whole answer may have, over all its model calls.
    pub max_output_tokens: Option<u64>,
    /// Calls of the server's tools the whole run may make.
    pub max_tool_calls: Option<u64>,
    pub truncation: Truncation,
    pub compaction: Option<Compaction>,
}

/// What becomes of a conversation that is longer than the model's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// The run fails.
    #[default]
    Disabled,
    /// Its oldest turns are left out.
    Auto,
}

/// When a conversation is summed up, to go on from the summary alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// Once a model call would have this many tokens, by estimate.
    At(u64),
    /// Once the model's window is nearly full, as far as it is known.
    NearlyFull,
    /// At once, and that is all of the run. `told` is what the model is told in this conversation, for it to heed.
    Only { told: Option<String> },
}
