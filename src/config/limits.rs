//! `profiles.*.limits:` how far one run may go before it must say where it stands.

use std::time::Duration;

use serde::Deserialize;

use super::{error::Problems, value};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Model calls of one run; then comes one last call with tools off.
    pub steps: u32,
    /// Time of one run, its tools included.
    #[serde(deserialize_with = "value::duration")]
    pub wall_time: Duration,
    /// Time of one tool call.
    #[serde(deserialize_with = "value::duration")]
    pub tool_time: Duration,
    /// Tokens the model may put out in one call; `None` leaves it to the upstream.
    pub output_tokens: Option<u32>,
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

impl Limits {
    pub(super) fn check(&self, at: &str, problems: &mut Problems<'_>) {
        let over_zero = "expected more than 0";
        problems.expect(self.steps > 0, format!("{at}.steps"), over_zero);
        problems.expect(!self.wall_time.is_zero(), format!("{at}.wall_time"), over_zero);
        problems.expect(!self.tool_time.is_zero(), format!("{at}.tool_time"), over_zero);
        problems.expect(self.output_tokens != Some(0), format!("{at}.output_tokens"), over_zero);
    }
}
