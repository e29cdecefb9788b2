//! Server-sent events as we write them. Each frame is one buffer and so one write: some clients' parsers lose their
//! place when a frame arrives in pieces.

use bytes::Bytes;

/// Ends a stream of either dialect.
pub const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// Keeps proxies and clients from giving up during a silence. A comment, because it is the one thing that every client ignores.
pub const KEEPALIVE: Bytes = Bytes::from_static(b": keepalive\n\n");

/// Frames a JSON text as an event with a name.
pub fn event(name: &str, json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len().saturating_add(name.len()).saturating_add(16));
    for piece in [b"event: ".as_slice(), name.as_bytes(), b"\ndata: ", json, b"\n\n"] {
        frame.extend_from_slice(piece);
    }
    frame.into()
}

/// Frames a JSON text with the id that a reader comes back with in `Last-Event-ID`.
pub fn numbered(number: u64, json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len().saturating_add(32));
    for piece in [b"id: ".as_slice(), number.to_string().as_bytes(), b"\ndata: ", json, b"\n\n"] {
        frame.extend_from_slice(piece);
    }
    frame.into()
}

/// Frames a JSON text.
pub fn data(json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len().saturating_add(8));
    frame.extend_from_slice(b"data: ");
    frame.extend_from_slice(json);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}
