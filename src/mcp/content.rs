//! What a server answers, as parts for the model: all text first, within its limit, then the images.

use super::pipe::one_line;
use crate::core::item::Part;
use crate::core::ports::tool::ToolError;
use crate::sandbox::OutputLimits;
use crate::sandbox::capture::Capture;
use rmcp::model::{CallToolResult, ContentBlock, GetPromptResult, ReadResourceResult, ResourceContents, Role};

/// Images of one answer, and bytes of all of them as they are sent on.
const MAX_IMAGES: usize = 8;
const MAX_IMAGE_BYTES: usize = 8 << 20;

/// Kinds of images that models can look at.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// An answer being put together.
pub struct Answer {
    text: Capture,
    has_text: bool,
    images: Vec<Part>,
    image_bytes: usize,
}

impl Answer {
    /// With room for so many bytes of text.
    pub fn new(max_output: usize) -> Self {
        let limits = OutputLimits { head: max_output / 2, tail: max_output / 2 };
        Self { text: Capture::new(limits), has_text: false, images: Vec::new(), image_bytes: 0 }
    }

    /// Adds lines of text.
    pub fn say(&mut self, text: &str) {
        if self.has_text {
            self.text.push(b"\n");
        }
        self.text.push(text.as_bytes());
        self.has_text = true;
    }

    fn show(&mut self, data: &str, mime_type: &str) {
        let bytes = self.image_bytes.saturating_add(data.len());
        if !IMAGES.contains(&mime_type) {
            self.say(&format!("[an image of type {}, which cannot be shown]", one_line(mime_type)));
        } else if self.images.len() >= MAX_IMAGES || bytes > MAX_IMAGE_BYTES {
            self.say("[an image, left out: there are too many in this answer, or they are too large]");
        } else {
            self.image_bytes = bytes;
            self.images.push(Part::Image { url: format!("data:{mime_type};base64,{data}"), detail: None });
        }
    }

    fn add(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.say(&text.text),
            ContentBlock::Image(image) => self.show(&image.data, &image.mime_type),
            ContentBlock::Audio(audio) => self.say(&format!("[audio of type {}]", one_line(&audio.mime_type))),
            ContentBlock::Resource(resource) => self.resource(resource.resource),
            ContentBlock::ResourceLink(link) => {
                let (name, uri) = (one_line(&link.name), one_line(&link.uri));
                self.say(&format!("[resource {uri}: {name}]"));
            }
            _ => self.say("[something of a kind that is not known here]"),
        }
    }

    fn resource(&mut self, contents: ResourceContents) {
        match contents {
            ResourceContents::TextResourceContents { uri, text, .. } => {
                self.say(&format!("[resource {}]", one_line(&uri)));
                self.say(&text);
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                let mime_type = mime_type.unwrap_or_default();
                if IMAGES.contains(&mime_type.as_str()) {
                    self.show(&blob, &mime_type);
                } else {
                    let bytes = blob.len() / 4 * 3;
                    let uri = one_line(&uri);
                    self.say(&format!(
                        "[resource {uri}: about {bytes} bytes that are no text, {}]",
                        one_line(&mime_type)
                    ));
                }
            }
            _ => self.say("[a resource of a kind that is not known here]"),
        }
    }

    pub fn parts(self) -> Vec<Part> {
        let Self { text, has_text, images, .. } = self;
        let captured = text.finish();
        let mut text = captured.head;
        if captured.cut > 0 {
            text += &format!("\n[… {} bytes cut …]\n{}", captured.cut, captured.tail);
        }
        if text.is_empty() && images.is_empty() {
            text = "[no output]".to_owned();
        }
        let said = (has_text || images.is_empty()).then(|| Part::text(text));
        said.into_iter().chain(images).collect()
    }
}

/// The answer of a tool. One that says it is an error is one that the model can act on.
pub fn of_call(result: CallToolResult, max_output: usize) -> Result<Vec<Part>, ToolError> {
    let mut answer = Answer::new(max_output);
    let nothing = result.content.is_empty();
    result.content.into_iter().for_each(|block| answer.add(block));
    if let Some(value) = result.structured_content.filter(|_| nothing) {
        answer.say(&value.to_string());
    }
    let parts = answer.parts();
    match result.is_error {
        Some(true) => Err(ToolError::TellModel(crate::core::item::text_of(&parts).into_owned())),
        _ => Ok(parts),
    }
}

pub fn of_resource(result: ReadResourceResult, max_output: usize) -> Vec<Part> {
    let mut answer = Answer::new(max_output);
    result.contents.into_iter().for_each(|contents| answer.resource(contents));
    answer.parts()
}

pub fn of_prompt(result: GetPromptResult, max_output: usize) -> Vec<Part> {
    let mut answer = Answer::new(max_output);
    for message in result.messages {
        answer.say(match message.role {
            Role::User => "[user]",
            Role::Assistant => "[assistant]",
        });
        answer.add(message.content);
    }
    answer.parts()
}
