//! A small reader of server-sent events: bytes in, `data` payloads out, bounded whatever the server sends.

use bytes::{Buf, Bytes};
use memchr::memchr2;

/// The longest event a server may send. Far above any real delta, far below what would hurt the daemon.
pub const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Takes a stream's bytes in any chunking. Comments and fields other than `data` are passed over.
#[derive(Debug)]
pub struct SseReader {
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
    /// The payload of the event being read. Kept between events, so that a delta allocates nothing here.
    data: Vec<u8>,
    has_data: bool,
    /// `data` has been handed out and is cleared before the next line.
    told: bool,
    /// The last line ended in CR: an LF that comes next belongs to it.
    after_cr: bool,
    /// Whether the first line is behind us; only that one may begin with a byte order mark.
    begun: bool,
    limit: usize,
}

/// The server sent an event longer than the limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("sent an event of more than {0} bytes")]
pub struct EventTooLong(usize);

impl Default for SseReader {
    fn default() -> Self {
        Self::with_limit(MAX_EVENT_BYTES)
    }
}

impl SseReader {
    /// A reader that refuses events of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        let (line, data) = (Vec::new(), Vec::new());
        Self { line, data, has_data: false, told: false, after_cr: false, begun: false, limit }
    }

    /// The next whole payload in `input`, which is consumed up to its end; `None` when `input` is used up.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<&[u8]>, EventTooLong> {
        let told = self.read(input)?;
        if input.is_empty() {
            // It would keep the connection's buffer from being used again.
            *input = Bytes::new();
        }
        Ok(told.then_some(&self.data))
    }

    /// The payload that stood at the end of the stream without the blank line it should have had.
    pub fn finish(&mut self) -> Result<Option<&[u8]>, EventTooLong> {
        self.forget_told();
        self.end_line(&[])?;
        Ok(self.has_data.then_some(&self.data))
    }

    fn read(&mut self, input: &mut Bytes) -> Result<bool, EventTooLong> {
        self.forget_told();
        loop {
            if self.after_cr && !input.is_empty() {
                self.after_cr = false;
                if input.first() == Some(&b'\n') {
                    input.advance(1);
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', input) else {
                self.check(input.len())?;
                self.line.extend_from_slice(input);
                input.clear();
                return Ok(false);
            };
            let rest = input.split_to(end); // invariant: `end` is a position within `input`
            self.after_cr = input.first() == Some(&b'\r');
            input.advance(1);
            self.end_line(&rest)?;
            if self.told {
                return Ok(true);
            }
        }
    }

    fn forget_told(&mut self) {
        if std::mem::take(&mut self.told) {
            self.data.clear();
            self.has_data = false;
        }
    }

    /// Takes a line whose last piece is `rest`.
    fn end_line(&mut self, rest: &[u8]) -> Result<(), EventTooLong> {
        if self.line.is_empty() {
            return self.take(rest);
        }
        self.check(rest.len())?;
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(rest);
        let taken = self.take(&line);
        line.clear();
        self.line = line;
        taken
    }

    fn take(&mut self, line: &[u8]) -> Result<(), EventTooLong> {
        let line = if std::mem::replace(&mut self.begun, true) { line } else { without_bom(line) };
        if line.is_empty() {
            self.told = self.has_data;
            return Ok(());
        }
        let Some(value) = data_of(line) else { return Ok(()) };
        self.check(value.len())?;
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), EventTooLong> {
        if self.line.len() + self.data.len() + more > self.limit { Err(EventTooLong(self.limit)) } else { Ok(()) }
    }
}

fn without_bom(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// The value of a `data` field, `None` for comments and other fields.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\ndata: one\r\n\r\nevent: x\rid: 7\rdata:two\r\rdata:  three\ndata\ndata: end\n\n\
        : keepalive\n\ndataset: no\nretry: 1\n\n\ndata: [DONE]";

    fn payloads(stream: &str, chunk: usize) -> Vec<String> {
        let mut reader = SseReader::default();
        let mut all = Vec::new();
        let mut keep = |payload: &[u8]| all.push(String::from_utf8(payload.to_vec()).unwrap());
        for piece in stream.as_bytes().chunks(chunk) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(payload) = reader.next(&mut piece).unwrap() {
                keep(payload);
            }
        }
        if let Some(payload) = reader.finish().unwrap() {
            keep(payload);
        }
        all
    }

    #[test]
    fn reads_the_same_payloads_in_every_chunking() {
        for chunk in 1..=STREAM.len() {
            assert_eq!(payloads(STREAM, chunk), ["one", "two", " three\n\nend", "[DONE]"], "chunks of {chunk}");
        }
    }

    #[test]
    fn an_empty_stream_and_one_of_comments_have_no_payload() {
        assert_eq!(payloads("", 1), [""; 0]);
        assert_eq!(payloads(": a\n\n: b", 3), [""; 0]);
        assert_eq!(payloads("data: x\n\n\n\n", 2), ["x"]);
    }

    #[test]
    fn an_endless_line_and_an_endless_event_are_refused() {
        let mut whole = Bytes::from_static(b"data: 12345678901\n");
        assert_eq!(SseReader::with_limit(10).next(&mut whole), Err(EventTooLong(10)));

        let mut reader = SseReader::with_limit(10);
        let mut fed = 0;
        while reader.next(&mut Bytes::from_static(b"x")).is_ok() {
            fed += 1;
        }
        assert_eq!(fed, 10, "a line without end is kept up to the limit only");

        let mut reader = SseReader::with_limit(10);
        let mut fed = 0;
        while reader.next(&mut Bytes::from_static(b"data: 12\n")).is_ok() {
            fed += 1;
        }
        assert_eq!(fed, 3, "so are the lines of an event without end");
    }
}
