//! Mends JSON whose text is not quite Unicode: a server that cuts its tokens by bytes sends halves of characters.

use std::char::REPLACEMENT_CHARACTER;
use std::ops::RangeInclusive;

const HIGH: RangeInclusive<u16> = 0xd800..=0xdbff;
const LOW: RangeInclusive<u16> = 0xdc00..=0xdfff;

/// The lengths of `uXXXX`, and of `uXXXX\uXXXX`.
const UNIT: usize = 5;
const PAIR: usize = 11;

/// The JSON text with a replacement character for each byte and each escaped surrogate that stands for nothing.
pub fn mend(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    let mut mended = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some((before, escape)) = rest.split_once('\\') {
        mended.push_str(before);
        let first = unit(escape);
        let second = || escape.get(UNIT..).and_then(|rest| unit(rest.strip_prefix('\\')?));
        let (sound, length) = match first {
            Some(high) if HIGH.contains(&high) && second().is_some_and(|low| LOW.contains(&low)) => (true, PAIR),
            Some(lone) if HIGH.contains(&lone) || LOW.contains(&lone) => (false, UNIT),
            _ => (true, escape.chars().next().map_or(0, char::len_utf8)),
        };
        let (escape, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        if sound {
            mended.push('\\');
            mended.push_str(escape);
        } else {
            mended.push(REPLACEMENT_CHARACTER);
        }
        rest = after;
    }
    mended.push_str(rest);
    mended
}

/// The UTF-16 unit of an escape, whose backslash is not part of `escape`.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}
