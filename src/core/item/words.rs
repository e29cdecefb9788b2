//! Parts as text, for where only text can be said: each part that is none is named in brackets.

use super::Part;
use std::borrow::Cow;

/// All parts, a line or more for each.
pub fn in_words(parts: &[Part]) -> Cow<'_, str> {
    match parts {
        [] => Cow::Borrowed(""),
        [part] => words(part),
        parts => Cow::Owned(parts.iter().map(words).collect::<Vec<_>>().join("\n")),
    }
}

fn words(part: &Part) -> Cow<'_, str> {
    match (part.as_text(), part) {
        (Some(text), _) => Cow::Borrowed(text),
        (None, Part::Opaque { value }) => Cow::Owned(value.to_string()),
        (None, Part::Image { url, .. }) => Cow::Owned(data(url, "image")),
        (None, Part::File { name: Some(name), .. }) => Cow::Owned(format!("[file {name}]")),
        (None, Part::File { data: content, .. }) => Cow::Owned(data(content, "file")),
        (None, Part::Text { .. } | Part::Refusal { .. }) => Cow::Borrowed(""),
    }
}

/// `[image/png, 120 KB]` where it is a data URL, else only what it is.
fn data(url: &str, what: &str) -> String {
    let of_data = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
    let Some((head, content)) = of_data else { return format!("[{what}]") };
    let kind = head.split(';').next().filter(|kind| !kind.is_empty()).unwrap_or(what);
    let bytes = if head.ends_with(";base64") { content.len() / 4 * 3 } else { content.len() };
    format!("[{kind}, {} KB]", bytes.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_text_is_named() {
        let image = |url: String| Part::Image { url, detail: None };
        let file = |name: Option<&str>, data: &str| Part::File { name: name.map(str::to_owned), data: data.to_owned() };
        let parts = [
            Part::text("See:"),
            image(format!("data:image/png;base64,{}", "A".repeat(160_000))),
            image("data:;base64,AAAA".to_owned()),
            image("https://example.org/a.png".to_owned()),
            file(Some("a.pdf"), "data:application/pdf;base64,AAAA"),
            file(None, "data:application/pdf,12"),
            file(None, "AAAA"),
            Part::Refusal { refusal: "No.".to_owned() },
            Part::Opaque { value: json!({"type": "x"}) },
        ];
        let expected = "See:\n[image/png, 120 KB]\n[image, 1 KB]\n[image]\n[file a.pdf]\n[application/pdf, 1 KB]\n\
                        [file]\nNo.\n{\"type\":\"x\"}";
        assert_eq!(in_words(&parts), expected);
        assert_eq!([in_words(&[]), in_words(&parts[..1])], ["", "See:"]);
    }
}
