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
    /// Levels of runs below one that delegates.
    #[serde(deserialize_with = "value::number")]
    pub delegate_depth: u32,
    /// Tasks that one run hands on, together with those below it.
    #[serde(deserialize_with = "value::number")]
    pub delegate_total: u32,
    /// Tasks of one run that are worked on at the same time.
    #[serde(deserialize_with = "value::number")]
    pub delegate_at_once: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let run::Limits { steps, wall_time, tool_time, delegation, .. } = run::Limits::default();
        let run::Delegation { depth, total, at_once } = delegation;
        Self {
            steps,
            wall_time,
            tool_time,
            output_tokens: None,
            delegate_depth: depth,
            delegate_total: total,
            delegate_at_once: at_once,
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
        problems.expect(self.delegate_depth > 0, format!("{at}.delegate_depth"), over_zero);
        problems.expect(self.delegate_total > 0, format!("{at}.delegate_total"), over_zero);
        // Places for them are made at once.
        let at_once = (1..=64).contains(&self.delegate_at_once);
        problems.expect(at_once, format!("{at}.delegate_at_once"), "expected 1 to 64");
    }
}
