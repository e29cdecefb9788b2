//! The content of a chat message: a plain string wherever one will do, since not every server reads parts.

use crate::core::item::{Message, Part};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::borrow::Cow;

#[derive(Serialize)]
#[serde(untagged)]
pub enum Content<'a> {
    Null,
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

pub enum WirePart<'a> {
    Part(&'a Part),
    Text(String),
}

impl<'a> Content<'a> {
    /// The content of one message.
    pub fn of(parts: &'a [Part]) -> Self {
        match parts {
            [] => Self::Text(Cow::Borrowed("")),
            [Part::Text { text, .. }] => Self::Text(Cow::Borrowed(text)),
            parts => Self::Parts(parts.iter().map(WirePart::Part).collect()),
        }
    }

    /// The leading system text: the profile's instructions, then the client's.
    pub fn leading(instructions: &[&'a str], messages: &[&'a Message]) -> Self {
        let parts = || messages.iter().flat_map(|message| &message.content);
        if parts().all(is_plain) {
            return Self::Text(paragraphs(instructions.iter().copied().chain(parts().filter_map(Part::as_text))));
        }
        let instructions = instructions.iter().map(|text| WirePart::Text(format!("{text}\n\n")));
        Self::Parts(instructions.chain(parts().map(WirePart::Part)).collect())
    }

    /// What the model said in one step; nothing said beside calls is `null`, as OpenAI writes it.
    pub fn said(messages: &[&'a Message], calls: bool) -> Self {
        let parts = || messages.iter().flat_map(|message| &message.content);
        let empty = parts().all(|part| matches!(part, Part::Text { text, .. } if text.is_empty()));
        match messages {
            _ if empty && calls => Self::Null,
            [message] => Self::of(&message.content),
            _ if parts().all(is_plain) => Self::Text(paragraphs(parts().filter_map(Part::as_text))),
            _ => Self::Parts(parts().map(WirePart::Part).collect()),
        }
    }

    /// The images that tools have put out, each after a line that says whose it is: chat lets a tool say text alone.
    pub fn shown(images: &[(String, &'a Part)]) -> Self {
        let parts = |(label, image): &(String, &'a Part)| [WirePart::Text(label.clone()), WirePart::Part(image)];
        Self::Parts(images.iter().flat_map(parts).collect())
    }
}

fn is_plain(part: &Part) -> bool {
    matches!(part, Part::Text { .. })
}

fn paragraphs<'a>(texts: impl Iterator<Item = &'a str>) -> Cow<'a, str> {
    let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
    match texts.as_slice() {
        [text] => Cow::Borrowed(text),
        texts => Cow::Owned(texts.join("\n\n")),
    }
}

impl Serialize for WirePart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}).serialize(serializer),
            Self::Part(Part::Opaque { value }) => value.serialize(serializer),
            Self::Part(Part::Text { text, .. }) => json!({"type": "text", "text": text}).serialize(serializer),
            Self::Part(Part::Refusal { refusal }) => {
                json!({"type": "refusal", "refusal": refusal}).serialize(serializer)
            }
            Self::Part(Part::File { name, data }) => File::new(name.as_deref(), data).serialize(serializer),
            Self::Part(Part::Image { url, detail }) => Image::new(url, detail.as_deref()).serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Image<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: ImageUrl<'a>,
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl<'a> Image<'a> {
    fn new(url: &'a str, detail: Option<&'a str>) -> Self {
        Self { kind: "image_url", image_url: ImageUrl { url, detail } }
    }
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    file: FileData<'a>,
}

#[derive(Serialize)]
struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    file_data: &'a str,
}

impl<'a> File<'a> {
    fn new(filename: Option<&'a str>, file_data: &'a str) -> Self {
        Self { kind: "file", file: FileData { filename, file_data } }
    }
}
