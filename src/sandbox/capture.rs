//! Keeps the head and the tail of a stream of any length in bounded memory.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How many bytes of an output are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// From the start: what was asked for is often there.
    pub head: usize,
    /// From the end: errors and summaries are.
    pub tail: usize,
}

/// What was kept of an output, as text within the limits. A byte that is no UTF-8 became U+FFFD, of three bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// All of it, if nothing was cut.
    pub head: String,
    /// How many bytes of the output between head and tail are missing.
    pub cut: u64,
    pub tail: String,
}

/// Where an output goes while it is being read.
pub trait Sink: Send {
    fn take(&mut self, bytes: &[u8]) -> impl Future<Output = ()> + Send;
}

/// Reads a stream to its end. One that cannot be read any more is at its end.
pub async fn read_into(sink: &mut impl Sink, mut stream: impl AsyncRead + Unpin) {
    let mut chunk = Vec::with_capacity(16 * 1024);
    while matches!(stream.read_buf(&mut chunk).await, Ok(1..)) {
        sink.take(&chunk).await;
        chunk.clear();
    }
}

/// The head and the tail of an output while it is being read.
#[derive(Debug)]
pub struct Capture {
    limits: OutputLimits,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Capture {
    pub fn new(limits: OutputLimits) -> Self {
        Self { limits, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.limits.head.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);

        let (_, rest) = rest.split_at(rest.len().saturating_sub(self.limits.tail));
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.limits.tail);
        self.tail.drain(..excess); // invariant: `rest` fits the limit by itself, so the excess is in `tail`
        self.tail.extend(rest);
    }

    /// What is kept, in order.
    pub fn kept(&self) -> impl Iterator<Item = &[u8]> {
        let (first, second) = self.tail.as_slices();
        [&*self.head, first, second].into_iter()
    }

    /// The text. A character that a cut went through is left out whole and counted as cut.
    pub fn finish(self) -> Captured {
        let Self { limits, mut head, tail, total } = self;
        let mut tail = Vec::from(tail);
        if total == (head.len() + tail.len()) as u64 {
            let whole = [&*head, &*tail].concat();
            let text =
                String::from_utf8(whole).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
            if text.len() <= limits.head.saturating_add(limits.tail) {
                return Captured { head: text, ..Captured::default() };
            }
        }
        let half = head.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        head.truncate(head.len() - half);
        let half = tail.iter().take(3).take_while(|byte| *byte & 0b1100_0000 == 0b1000_0000).count();
        tail.drain(..half);

        let [(head, of_head), (tail, of_tail)] = [start(&head, limits.head), end(&tail, limits.tail)];
        Captured { head, cut: total - (of_head + of_tail) as u64, tail }
    }
}

impl Sink for Capture {
    async fn take(&mut self, bytes: &[u8]) {
        self.push(bytes);
    }
}

/// As many characters from the start as fit, and the number of bytes they stand for.
fn start(bytes: &[u8], limit: usize) -> (String, usize) {
    let (mut text, mut used) = (String::new(), 0);
    for (c, length) in characters(bytes) {
        if text.len() + c.len_utf8() > limit {
            break;
        }
        text.push(c);
        used += length;
    }
    (text, used)
}

/// As many characters from the end as fit, and the number of bytes they stand for.
fn end(bytes: &[u8], limit: usize) -> (String, usize) {
    let whole: usize = characters(bytes).map(|(c, _)| c.len_utf8()).sum();
    let mut excess = whole.saturating_sub(limit);
    let fitting = characters(bytes).skip_while(|(c, _)| {
        let skipped = excess > 0;
        excess = excess.saturating_sub(c.len_utf8());
        skipped
    });
    fitting.fold((String::new(), 0), |(text, used), (c, length)| (text + c.encode_utf8(&mut [0; 4]), used + length))
}

/// The characters of a text, each with the number of bytes it stands for.
fn characters(bytes: &[u8]) -> impl Iterator<Item = (char, usize)> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let broken = chunk.invalid().len();
        let replaced = (broken > 0).then_some((char::REPLACEMENT_CHARACTER, broken));
        chunk.valid().chars().map(|c| (c, c.len_utf8())).chain(replaced)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn capture<'a>(head: usize, tail: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Captured {
        let mut capture = Capture::new(OutputLimits { head, tail });
        for chunk in chunks {
            capture.push(chunk);
            assert!(capture.head.len() <= head && capture.tail.len() <= tail);
        }
        capture.finish()
    }

    fn captured(head: &str, cut: u64, tail: &str) -> Captured {
        Captured { head: head.into(), cut, tail: tail.into() }
    }

    #[test]
    fn cuts_the_middle_and_never_a_character() {
        let cases: [(usize, usize, &[u8], Captured); 10] = [
            (4, 4, b"12345678", captured("12345678", 0, "")),
            (4, 4, b"123456789", captured("1234", 1, "6789")),
            (0, 3, b"12345", captured("", 2, "345")),
            (3, 0, b"12345", captured("123", 2, "")),
            // The boundary goes through a character, but nothing is missing.
            (2, 5, "aäöü".as_bytes(), captured("aäöü", 0, "")),
            (2, 3, "aä-----öü".as_bytes(), captured("a", 9, "ü")),
            (4, 4, "\u{1F600}x\u{1F600}".as_bytes(), captured("\u{1F600}", 1, "\u{1F600}")),
            (9, 9, b"a\xffb", captured("a\u{FFFD}b", 0, "")),
            // What is no text takes more room as text, and that is what the limit is about.
            (4, 5, &[b'\xff'; 9], captured("\u{FFFD}", 7, "\u{FFFD}")),
            (4, 4, b"a\xff\xff-----------\xff\xffz", captured("a\u{FFFD}", 13, "\u{FFFD}z")),
        ];
        for (head, tail, input, expected) in cases {
            assert_eq!(capture(head, tail, [input]), expected, "{head}+{tail} of {input:?}");
        }
    }

    proptest! {
        #[test]
        fn of_anything_no_more_is_kept_than_was_asked_for(input: Vec<u8>, head in 0..20usize, tail in 0..20usize) {
            let kept = capture(head, tail, [&*input]);
            prop_assert!(kept.head.len() + kept.tail.len() <= head + tail, "{kept:?}");
        }

        #[test]
        fn chunks_make_no_difference(input: Vec<Vec<u8>>, head in 0..20usize, tail in 0..20usize) {
            let whole = input.concat();
            prop_assert_eq!(capture(head, tail, input.iter().map(Vec::as_slice)), capture(head, tail, [&*whole]));
        }

        #[test]
        fn of_text_only_the_middle_is_missing(input: String, head in 0..20usize, tail in 0..20usize) {
            let Captured { head, cut, tail } = capture(head, tail, [input.as_bytes()]);
            prop_assert!(input.starts_with(&head) && input.ends_with(&tail));
            prop_assert_eq!(input.len() as u64, (head.len() + tail.len()) as u64 + cut);
        }
    }
}
