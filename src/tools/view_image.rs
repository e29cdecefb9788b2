//! `view_image`: an image of the workspace goes to the model as one.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope};
use crate::tools::{schema, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;

pub struct ViewImage;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The image, relative to the workspace: png, jpeg, gif or webp.
    path: String,
}

impl FileTool for ViewImage {
    const NAME: &'static str = "view_image";
    const DESCRIPTION: &'static str = "Shows an image of the workspace to you: a png, jpeg, gif or webp file. To see \
        another kind, convert it first.";
    const ANNOTATIONS: Annotations = Annotations::READ_ONLY;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        text::summary(schema::text_at(arguments, "path"))
    }

    fn run(Arguments { path }: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        let place = scope.workspace.locate(&path)?;
        let name = text::quoted(&place.to_string());
        let file = scope.workspace.open_file(&place)?;
        let limit = scope.settings.max_image;
        let mut content = Vec::new();
        // A file that grows while it is read must have an end, too.
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut content);
        read.map_err(|error| scope.unreadable(&place, &error))?;
        let size = text::count(content.len() as u64, "byte");
        if content.len() as u64 > limit {
            let limit = text::count(limit, "byte");
            return Err(tell(format!(
                "{name} has more than {limit}, the most that can be shown. Make it smaller first."
            )));
        }
        let Some(kind) = Kind::of(&content) else {
            return Err(tell(format!(
                "{name} ({size}) is no png, jpeg, gif or webp image, whatever its name says. read_file shows text."
            )));
        };
        // A model's server refuses the whole conversation for an image that it cannot read.
        if !kind.is_whole(&content) {
            return Err(tell(format!(
                "{name} ({size}) begins as {} and has no end: it is cut off.",
                kind.media_type()
            )));
        }
        scope.check()?;
        let url = format!("data:{};base64,{}", kind.media_type(), STANDARD.encode(&content));
        Ok(vec![Part::text(format!("{name}: {}, {size}", kind.media_type())), Part::Image { url, detail: None }])
    }
}

/// The kinds of images that models take.
#[derive(Clone, Copy)]
enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
}

impl Kind {
    /// By what is in the file: its name may say anything.
    fn of(content: &[u8]) -> Option<Self> {
        match content {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }

    /// Whether the mark of its end is there. More may follow it.
    fn is_whole(self, content: &[u8]) -> bool {
        let has = |mark: &[u8]| content.windows(mark.len()).rev().any(|window| window == mark);
        match self {
            Self::Png => has(b"IEND"),
            Self::Jpeg => has(&[0xff, 0xd9]),
            Self::Gif => has(&[0x3b]),
            Self::Webp => match content {
                [_, _, _, _, a, b, c, d, ..] => {
                    u64::from(u32::from_le_bytes([*a, *b, *c, *d])).saturating_add(8) <= content.len() as u64
                }
                _ => false,
            },
        }
    }
}

fn tell(text: String) -> ToolError {
    ToolError::TellModel(text)
}
