//! Cuts of texts that people and models read.

/// At most `limit` characters, the last of them `…` if some are missing.
pub fn ellipsis(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}
