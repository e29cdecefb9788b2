//! The last bytes of an output that goes on and on, each under its offset in the whole.

use std::collections::VecDeque;

#[derive(Debug)]
pub struct Ring {
    limit: usize,
    bytes: VecDeque<u8>,
    /// The offset of the first byte that is kept.
    start: u64,
}

impl Ring {
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: VecDeque::new(), start: 0 }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.start = self.start.saturating_add(excess as u64);
    }

    pub fn start(&self) -> u64 {
        self.start
    }

    /// All that was pushed, if it is still here and some of it would not be with so many bytes more.
    pub fn before_loss(&self, more: usize) -> Option<Vec<u8>> {
        let loses = self.start == 0 && self.bytes.len().saturating_add(more) > self.limit;
        loses.then(|| self.bytes.iter().copied().collect())
    }

    /// The offset of the byte that comes next.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }

    /// Up to `limit` bytes from an offset on, as far as they are kept, without the part of a character at their end
    /// that more bytes of it follow. With them, the offset of the first.
    pub fn read(&self, from: u64, limit: usize) -> (u64, Vec<u8>) {
        let from = from.clamp(self.start, self.end());
        let skipped = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let mut bytes: Vec<u8> = self.bytes.iter().skip(skipped).take(limit).copied().collect();
        let broken = bytes.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        let goes_on = skipped.saturating_add(bytes.len()) < self.bytes.len();
        if goes_on
            && broken < bytes.len()
            && std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_none())
        {
            bytes.truncate(bytes.len().saturating_sub(broken));
        }
        (from, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_out_is_counted() {
        let mut ring = Ring::new(8);
        ring.push(b"0123456789");
        ring.push("aä".as_bytes());
        assert_eq!((ring.start(), ring.end()), (5, 13));
        let cases: [(u64, usize, u64, &[u8]); 6] = [
            (0, 9, 5, "56789aä".as_bytes()),
            (7, 2, 7, b"78"),
            (9, 3, 9, b"9a"),     // half of a character is left for the next
            (11, 1, 11, b"\xc3"), // but something must come
            (13, 9, 13, b""),
            (99, 9, 13, b""),
        ];
        for (from, limit, start, expected) in cases {
            assert_eq!(ring.read(from, limit), (start, expected.to_vec()), "{limit} from {from}");
        }
    }
}
