//! `write_file`: makes or replaces a whole file.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope, answer};
use crate::tools::{schema, text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct WriteFile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The file, relative to the workspace. Missing folders are made.
    path: String,
    /// All that shall be in the file.
    content: String,
}

impl FileTool for WriteFile {
    const NAME: &'static str = "write_file";
    const DESCRIPTION: &'static str = "Writes a file of the workspace, in place of all that was in it before. To \
        change a part of a file, use edit_file.";
    const ANNOTATIONS: Annotations = Annotations::WITH_EFFECTS;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        text::summary(schema::text_at(arguments, "path"))
    }

    fn run(Arguments { path, content }: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        let place = scope.workspace.locate(&path)?;
        if path.ends_with('/') {
            return Err(ToolError::TellModel(format!(
                "{} names a folder, as it ends in `/`. Folders are made with the files in them.",
                text::quoted(&path)
            )));
        }
        let _alone = scope.workspace.lock(&place);
        scope.check()?;
        let old = scope.workspace.replace(&place, content.as_bytes())?;
        let written = text::count(content.len() as u64, "byte");
        let name = text::quoted(&place.to_string());
        Ok(answer(match old {
            Some(size) => format!("Wrote {written} to {name}, replacing {}.", text::count(size, "byte")),
            None => format!("Wrote {written} to {name}, a new file."),
        }))
    }
}
