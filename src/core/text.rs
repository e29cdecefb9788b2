//! Cuts of texts that people and models read.

/// At most `limit` characters, the last of them `…` if some are missing.
pub fn ellipsis(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The longest start within `limit` bytes that does not end inside a character.
pub fn head(text: &str, limit: usize) -> &str {
    (0..=limit.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// What is left from this byte on, or from the next character's first.
pub fn tail(text: &str, from: usize) -> &str {
    (from..=text.len()).find_map(|begin| text.get(begin..)).unwrap_or_default()
}
