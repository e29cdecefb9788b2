//! How far a run may go.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Model calls that may ask for tools. One more, with tools off, tells where the run stands.
    pub steps: u32,
    /// From the start of the run. The run then gets [`Limits::LAST_CALL`] to say where it stands.
    pub wall_time: Duration,
    /// One tool call.
    pub tool_time: Duration,
    /// Bytes of text that one tool call hands to the model.
    pub tool_output: usize,
    /// Tokens of one answer, over all its model calls; a client's own lower limit wins.
    pub output_tokens: Option<u64>,
    pub delegation: Delegation,
}

/// How much a run may hand on to other profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Levels below a run: 1 lets it delegate, and those that it delegates to not.
    pub depth: u32,
    /// Tasks of a run in all, those that its children hand on included.
    pub total: u32,
    /// Tasks of a run that are worked on at the same time; more wait for their turn.
    pub at_once: u32,
}

impl Limits {
    /// What a run whose wall time is over may still spend on its closing words.
    pub const LAST_CALL: Duration = Duration::from_secs(60);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 50,
            wall_time: Duration::from_secs(30 * 60),
            tool_time: Duration::from_secs(2 * 60),
            tool_output: 32 << 10,
            output_tokens: None,
            delegation: Delegation::default(),
        }
    }
}

impl Default for Delegation {
    fn default() -> Self {
        Self { depth: 1, total: 16, at_once: 4 }
    }
}
