//! Bytes to text, by the byte order mark, the server's word, the page's own word, or what fits.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far in a page says its encoding; browsers look as far.
const PROBE: usize = 1024;

/// Decodes a text. `declared` is the charset of the content type.
pub fn decode(bytes: &[u8], declared: Option<&str>) -> String {
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let encoding = marked
        .or_else(|| Encoding::for_label(declared?.as_bytes()))
        .or_else(|| stated(bytes.get(..PROBE).unwrap_or(bytes)))
        .unwrap_or_else(|| if is_utf8(bytes) { UTF_8 } else { WINDOWS_1252 });
    encoding.decode(bytes).0.into_owned()
}

/// `<meta charset=…>`, `<meta http-equiv … content="…; charset=…">` or `<?xml … encoding="…"?>`.
fn stated(start: &[u8]) -> Option<&'static Encoding> {
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    let places = ["charset=", "encoding="].into_iter().filter_map(|key| start.split_once(key));
    let mut labels = places.filter_map(|(before, after)| {
        // The word has to stand in a tag.
        let tag = before.rsplit('<').next().filter(|tag| tag.starts_with("meta") || tag.starts_with("?xml"))?;
        let after = after.trim_start_matches(['"', '\'', ' ']);
        let label = after.split(['"', '\'', ' ', ';', '>', '/', '?']).next()?;
        (!tag.contains('>')).then_some(label)
    });
    let encoding = labels.find_map(|label| Encoding::for_label(label.as_bytes()))?;
    // Whoever can be read up to here is not written in 16 bits, whatever it says.
    Some(if encoding.is_ascii_compatible() { encoding } else { UTF_8 })
}

/// Also if the end is cut within a character, where others before show what it is.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(
        |error| {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            error.error_len().is_none() && !whole.is_ascii()
        },
        |_| true,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_an_encoding_is_heard() {
        let cases: [(&[u8], Option<&str>, &str); 14] = [
            (b"caf\xc3\xa9", None, "café"),
            (b"caf\xe9", None, "café"),
            (b"\xc3\xa9\xc3", None, "é\u{fffd}"),
            (b"caf\xe9", Some("iso-8859-1"), "café"),
            (b"caf\xc3\xa9", Some("nonsense"), "café"),
            (b"\xcf\xf0\xe8", Some("windows-1251"), "При"),
            (b"\xef\xbb\xbfcaf\xc3\xa9", Some("iso-8859-1"), "café"),
            (b"\xff\xfea\0b\0", None, "ab"),
            (b"\xfe\xff\0a\0b", Some("utf-8"), "ab"),
            (b"<meta charset=\"Shift_JIS\">\x83\x65", None, "<meta charset=\"Shift_JIS\">テ"),
            (b"<meta content='text/html; charset=koi8-r'>\xf0", None, "<meta content='text/html; charset=koi8-r'>П"),
            (
                b"<?xml version='1.0' encoding='windows-1251'?>\xcf",
                None,
                "<?xml version='1.0' encoding='windows-1251'?>П",
            ),
            (b"<meta charset=utf-16>\xc3\xa9", None, "<meta charset=utf-16>é"),
            (b"charset=koi8-r \xc3\xa9", None, "charset=koi8-r é"),
        ];
        for (bytes, declared, expected) in cases {
            assert_eq!(decode(bytes, declared), expected, "{declared:?} {}", bytes.escape_ascii());
        }
    }
}
