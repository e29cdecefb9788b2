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
    /// Tokens of one answer, over all its model calls; a client's own lower limit wins.
    pub output_tokens: Option<u64>,
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
            output_tokens: None,
        }
    }
}
