//! The fields of a request about the length of its conversation.

use super::text::one_of;
use crate::core::run::{Compaction, Truncation};
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Fields, integer};

/// Reads `truncation`.
pub(super) fn truncation(fields: &mut Fields) -> Result<Truncation, ApiError> {
    Ok(match one_of(fields, "truncation", &["auto", "disabled"])?.as_deref() {
        Some("auto") => Truncation::Auto,
        _ => Truncation::Disabled,
    })
}

/// `truncation` as a response repeats it.
pub(super) fn word(truncation: Truncation) -> &'static str {
    match truncation {
        Truncation::Auto => "auto",
        Truncation::Disabled => "disabled",
    }
}

/// Reads `context_management`: a list of which only one kind is known, and that makes sense once.
pub(super) fn compaction(fields: &mut Fields) -> Result<Option<Compaction>, ApiError> {
    let mut compaction = None;
    for (at, entry) in fields.take_array("context_management")?.unwrap_or_default().into_iter().enumerate() {
        let mut entry = Fields::of(entry, format!("context_management[{at}]"))?;
        let path = entry.path("type");
        if entry.need_string("type")? != "compaction" {
            return Err(ApiError::invalid(&path, format!("`{path}` must be compaction.")));
        }
        if compaction.is_some() {
            return Err(ApiError::invalid(&path, format!("`{path}` names compaction again: send one entry.")));
        }
        let path = entry.path("compact_threshold");
        let threshold = entry.take("compact_threshold").map(|tokens| integer(&path, &tokens, 1)).transpose()?;
        let threshold = threshold.and_then(|tokens| u64::try_from(tokens).ok());
        compaction = Some(threshold.map_or(Compaction::NearlyFull, Compaction::At));
    }
    Ok(compaction)
}
