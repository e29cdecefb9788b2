//! `profiles.*.limits:` how far one run may go before it must say where it stands.

use std::time::Duration;

use serde::Deserialize;

use super::{error::Problems, value};
use crate::core::run;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Model calls of one run; then comes one last call with tools off.
    #[serde(deserialize_with = "value::number")]
    pub steps: u32,
    /// Time of one run, its tools included.
    #[serde(deserialize_with = "value::duration")]
    pub wall_time: Duration,
    /// Time of one tool call.
    #[serde(deserialize_with = "value::duration")]
    pub tool_time: Duration,
    /// Tokens of one answer, over all its model calls; `None` leaves it to the upstream.
    #[serde(deserialize_with = "value::optional_number")]
    pub output_tokens: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        let run::Limits { steps, wall_time, tool_time, .. } = run::Limits::default();
        Self { steps, wall_time, tool_time, output_tokens: None }
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
