//! `edit_file`: replaces an exact text in a file.

mod near;

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope, answer};
use crate::tools::workspace::Place;
use crate::tools::{schema, text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;

/// Of how many of the places that a text was found at the lines are told.
const MAX_LINES: usize = 10;

pub struct EditFile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The file, relative to the workspace.
    path: String,
    /// The text to replace, exactly as it is in the file, with its indentation and without line numbers. It must occur
    /// once only, so take in enough of the lines around it.
    old_string: String,
    /// The text to put in its place.
    new_string: String,
    /// Replace every occurrence. Default: false.
    replace_all: Option<bool>,
}

impl FileTool for EditFile {
    const NAME: &'static str = "edit_file";
    const DESCRIPTION: &'static str = "Replaces an exact text in a file of the workspace. Nothing is changed if the \
        text is missing, or occurs more than once and replace_all is not set. Read the file first.";
    const ANNOTATIONS: Annotations = Annotations::WITH_EFFECTS;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        text::summary(schema::text_at(arguments, "path"))
    }

    fn run(arguments: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        if arguments.old_string.is_empty() {
            return Err(tell("old_string is empty. To make a file or replace all of it, use write_file."));
        }
        let place = scope.workspace.locate(&arguments.path)?;
        let _alone = scope.workspace.lock(&place);
        let content = read(scope, &place)?;
        let edit = Edit::new(arguments, &content)?;
        let found = edit.find(&content, &text::quoted(&place.to_string()))?;
        // Checked before it is made: a short text that occurs often can grow a file out of all memory.
        let kept = content.len() - found.count * edit.old.len();
        let size = kept.saturating_add(found.count.saturating_mul(edit.new.len()));
        if size as u64 > scope.settings.read_limit {
            let limit = text::count(scope.settings.read_limit, "byte");
            return Err(tell(format!("The file would have more than {limit}, the most that can be edited.")));
        }
        scope.check()?;
        scope.workspace.replace(&place, content.replace(&edit.old, &edit.new).as_bytes())?;
        Ok(answer(found.told(&place)))
    }
}

fn read(scope: &Scope, place: &Place) -> Result<String, ToolError> {
    let mut content = Vec::new();
    let mut text = scope.open_text(place)?;
    if text.size > scope.settings.read_limit {
        let [name, size] = [text::quoted(&place.to_string()), text::count(text.size, "byte")];
        let limit = text::number(scope.settings.read_limit);
        return Err(tell(format!("{name} has {size}, and at most {limit} can be edited. Use a command.")));
    }
    text.reader.read_to_end(&mut content).map_err(|error| scope.unreadable(place, &error))?;
    String::from_utf8(content).map_err(|_| {
        let name = text::quoted(&place.to_string());
        tell(format!("{name} is not UTF-8 text, so an edit could damage it. Use a command that knows its encoding."))
    })
}

/// What to replace with what, in the line endings of the file.
struct Edit {
    old: String,
    new: String,
    all: bool,
}

impl Edit {
    /// read_file does not show carriage returns, so in a file where every line has one they are put in here.
    fn new(Arguments { old_string, new_string, replace_all, .. }: Arguments, content: &str) -> Result<Self, ToolError> {
        let lines = content.matches('\n').count();
        let crlf = lines > 0 && lines == content.matches("\r\n").count();
        let adapt = |text: String| if crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text };
        let edit = Self { old: adapt(old_string), new: adapt(new_string), all: replace_all.unwrap_or(false) };
        match edit.old == edit.new {
            true => Err(tell("old_string and new_string are the same, so there is nothing to change.")),
            false => Ok(edit),
        }
    }

    fn find(&self, content: &str, name: &str) -> Result<Found, ToolError> {
        let found = Found::of(content, &self.old);
        // `aa` is in `aaa` once when counted, and yet at two places.
        let unique = found.count == 1 && content.find(&self.old) == content.rfind(&self.old);
        if found.count == 0 {
            return Err(tell(near::explain(content, self, name)));
        }
        if !unique && !self.all {
            return Err(tell(format!(
                "old_string occurs {} in {name}, at {}. Take in more of the lines around the one you mean, or set \
                 replace_all.",
                text::count(found.count.max(2) as u64, "time"),
                found.lines()
            )));
        }
        Ok(found)
    }
}

/// Where a text was found.
struct Found {
    count: usize,
    /// The first lines it begins in.
    lines: Vec<usize>,
}

impl Found {
    fn of(content: &str, old: &str) -> Self {
        let mut lines = Vec::new();
        let (mut line, mut from) = (1, 0);
        for (at, _) in content.match_indices(old).take(MAX_LINES) {
            line += content.get(from..at).unwrap_or_default().matches('\n').count();
            from = at;
            if lines.last() != Some(&line) {
                lines.push(line);
            }
        }
        Self { count: content.matches(old).count(), lines }
    }

    /// `line 3`, `lines 1, 5, 9 and more`.
    fn lines(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| text::number(*line as u64)).collect();
        let noun = if lines.len() == 1 { "line" } else { "lines" };
        let more = if self.count > MAX_LINES { " and more" } else { "" };
        format!("{noun} {}{more}", lines.join(", "))
    }

    fn told(&self, place: &Place) -> String {
        let times = text::count(self.count as u64, "occurrence");
        format!("Replaced {times} in {}, at {}.", text::quoted(&place.to_string()), self.lines())
    }
}

fn tell(text: impl Into<String>) -> ToolError {
    ToolError::TellModel(text.into())
}
