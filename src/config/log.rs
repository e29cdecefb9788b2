//! `log:` what is logged and in which form.

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::error::Problems;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// tracing's filter syntax: `info`, or `info,nuncio=debug`.
    pub filter: String,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: Format::Text }
    }
}

impl Log {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let expected = "expected a level (off, error, warn, info, debug, trace) or target=level pairs, such as \
                        info,nuncio=debug";
        if !is_filter(&self.filter) {
            problems.add("log.filter", format!("{expected}; found `{}`", self.filter.escape_debug()));
        }
    }
}

/// Stricter than tracing, which takes a misspelled level for a target and then logs next to nothing.
fn is_filter(filter: &str) -> bool {
    let level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    // Span filters, which are in brackets, may hold commas of their own.
    let words = filter.contains('[') || filter.split(',').all(|part| part.contains('=') || level(part.trim()));
    words && EnvFilter::try_new(filter).is_ok()
}
