//! Bodies that are no JSON object.

use super::{CHAT, Case};
use crate::raw::local;

const INVALID_JSON: Option<&str> = Some("invalid_json");

/// Around a text that is put into a message's content without any escaping.
fn content(bytes: &[u8]) -> Vec<u8> {
    let (before, after) = (br#"{"model":"nuncio","messages":[{"role":"user","content":""#, br#""}]}"#);
    [before, bytes, after.as_slice()].concat()
}

/// A good request with one more field, as it is written.
fn field(text: &str) -> String {
    format!(r#"{{"model":"nuncio","messages":[{{"role":"user","content":"Hello"}}],{text}}}"#)
}

pub fn cases() -> Vec<Case> {
    let object = [
        ("null", "null"),
        ("a boolean", "true"),
        ("a number", "42"),
        ("a string", "\"hello\""),
        ("an empty array", "[]"),
        ("a request in an array", r#"[{"model":"nuncio","messages":[]}]"#),
    ];
    let object = object.into_iter().map(|(name, body)| Case::body(name, body, None));
    let json: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".into()),
        ("a space", b" ".into()),
        ("a word", b"hello".into()),
        ("a form", b"model=nuncio".into()),
        ("half an object", br#"{"model":"nuncio","mess"#.into()),
        ("a comma too many", br#"{"model":"nuncio",}"#.into()),
        ("single quotes", b"{'model':'nuncio'}".into()),
        ("a comment", b"{/* the model */\"model\":\"nuncio\"}".into()),
        ("two objects", b"{}{}".into()),
        ("text after the object", field("\"n\":1").into_bytes().into_iter().chain(*b" ok").collect()),
        ("no number", field("\"seed\":NaN").into()),
        ("an infinite number", field("\"temperature\":1e400").into()),
        ("a hexadecimal number", field("\"seed\":0x10").into()),
        ("half a pair of surrogates", content(br"\ud83d")),
        ("half a pair of surrogates and text", content(br"\ud83d hello")),
        ("the second half of a pair alone", content(br"\ude00")),
        ("two first halves", content(br"\ud83d\ud83d")),
        ("half a surrogate in a key", field(r#""\ud800":1"#).into()),
        ("a bad escape", content(br"\x41")),
        ("a NUL byte", content(b"a\0b")),
        ("a NUL byte after the object", field("\"n\":1").into_bytes().into_iter().chain([0]).collect()),
        ("a raw line break in a string", content(b"a\nb")),
        ("no UTF-8", content(b"\xff\xfe")),
        ("UTF-8 cut in a character", content(b"\xe2\x82")),
        ("UTF-8 in the long form", content(b"\xc0\x80")),
        ("a surrogate in UTF-8", content(b"\xed\xa0\x80")),
        ("a byte order mark", [b"\xef\xbb\xbf", field("\"n\":1").as_bytes()].concat()),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("200 arrays deep", field(&format!("\"x\":{}{}", "[".repeat(200), "]".repeat(200))).into()),
        ("200 objects deep", field(&format!("\"x\":{}1{}", "{\"x\":".repeat(200), "}".repeat(200))).into()),
        ("a lot of brackets", vec![b'['; 400_000]),
    ];
    let json = json.into_iter().map(|(name, body)| Case::body(name, body, INVALID_JSON));
    let cut =
        Case::of("a body that breaks off", local(&format!("{CHAT}\nContent-Length: 99"), r#"{"model":"#), 400, None);
    let chunks = local(&format!("{CHAT}\nTransfer-Encoding: chunked"), "zz\r\n{}\r\n0\r\n\r\n");
    let others = [Case { cut: true, ..cut }, Case::of("chunks that are none", chunks, 400, None)];
    object.chain(json).chain(others).collect()
}
