//! Logs: lines on standard error, as text or JSON. Prompts and keys are in none of them at the default level.

use crate::config::log::{Format, Log};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Sets the process's logger up. A second call, as in tests, changes nothing.
pub fn init(log: &Log) {
    let filter = EnvFilter::new(&log.filter);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A line that cannot be written would be told of on standard error, which fails as well, and that is a panic.
    let lines = lines.log_internal_errors(false);
    // A failure means that there is a logger already.
    let _ = match log.format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        Format::Json => lines.json().with_current_span(true).with_span_list(true).try_init(),
    };
}
