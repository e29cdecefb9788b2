//! The wording of what models and people read: names that cannot break a line, numbers, cuts that fall between characters.

pub use crate::core::text::ellipsis;
use std::path::Path;

/// Longest name or excerpt in a message, in characters.
const NAME_LIMIT: usize = 200;

/// Longest summary of a call, in characters.
const SUMMARY_LIMIT: usize = 80;

/// A text as one line for a person: whitespace and invisible characters become single spaces.
pub fn summary(text: &str) -> String {
    // Four times as much as can be shown: a script of megabytes is not worth reading for its first line.
    let visible: String =
        text.chars().take(4 * SUMMARY_LIMIT).map(|c| if c.is_control() || is_bidi(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    ellipsis(&words.join(" "), SUMMARY_LIMIT)
}

/// Characters that reorder the text around them, so that a line would not show what it says.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A name given by a model or found on disk, in backticks: one line, and not too long for a message.
pub fn quoted(name: &str) -> String {
    format!("`{}`", ellipsis(&escaped(name), NAME_LIMIT))
}

/// A path as one line. It is not cut, so that it can be given back to a tool; only a name with control characters, or
/// one that is not UTF-8, cannot.
pub fn path(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => escaped(&path.to_string_lossy()),
    }
}

fn escaped(name: &str) -> String {
    let mut line = String::with_capacity(name.len());
    for c in name.chars() {
        match c.is_control() || is_bidi(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// The longest start of a text within `limit` bytes.
pub fn start(text: &str, limit: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=limit.min(text.len())).rev().find(fits).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// The longest start of `bytes` within `limit` that does not end inside a character.
pub fn head(bytes: &[u8], limit: usize) -> &[u8] {
    let Some(head) = bytes.get(..limit) else { return bytes };
    let broken = match std::str::from_utf8(head) {
        // No `error_len` means that the bytes end too early, not that they are wrong.
        Err(error) if error.error_len().is_none() => head.len() - error.valid_up_to(),
        _ => 0,
    };
    head.get(..head.len() - broken).unwrap_or(head)
}

/// `1234567` as `1,234,567`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 line`, `2,000 lines`.
pub fn count(number: u64, noun: &str) -> String {
    let (plural, stem) = match (number, noun.strip_suffix('y'), noun.strip_suffix("ch")) {
        (1, ..) => ("", noun),
        (_, Some(stem), _) => ("ies", stem),
        (_, _, Some(_)) => ("es", noun),
        _ => ("s", noun),
    };
    format!("{} {stem}{plural}", self::number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_counted() {
        let shown = [0, 1, 999, 1_000, 1_234_567].map(|n| count(n, "line"));
        assert_eq!(shown, ["0 lines", "1 line", "999 lines", "1,000 lines", "1,234,567 lines"]);
        assert_eq!([count(1, "entry"), count(2, "entry"), count(2, "match")], ["1 entry", "2 entries", "2 matches"]);
    }

    #[test]
    fn a_summary_is_one_visible_line() {
        assert_eq!(summary("ls -la"), "ls -la");
        assert_eq!(summary(" a\n\tb\u{1b}[31m\u{202e}c "), "a b [31m c");
        assert_eq!(summary(&"ö".repeat(81)), format!("{}…", "ö".repeat(79)));
        assert_eq!(summary(&"ö".repeat(80)), "ö".repeat(80));
    }

    #[test]
    fn a_name_cannot_break_its_line() {
        assert_eq!(quoted("a\nb\u{202e}"), r"`a\nb\u{202e}`");
        assert_eq!(quoted(&"x".repeat(300)).chars().count(), NAME_LIMIT + 2);
    }

    #[test]
    fn a_start_ends_between_characters() {
        let starts = [0, 1, 2, 3, 4, 9].map(|limit| start("aäb", limit));
        assert_eq!(starts, ["", "a", "a", "aä", "aäb", "aäb"]);
    }

    #[test]
    fn a_head_ends_between_characters() {
        let cases: [(&[u8], usize, &[u8]); 5] = [
            ("aäb".as_bytes(), 2, b"a"),
            ("aäb".as_bytes(), 3, "aä".as_bytes()),
            (b"abc", 9, b"abc"),
            (b"a\xffbc", 2, b"a\xff"), // wrong, but not cut
            ("\u{1F600}".as_bytes(), 3, b""),
        ];
        for (bytes, limit, expected) in cases {
            assert_eq!(head(bytes, limit), expected, "{limit} of {bytes:?}");
        }
    }
}
