//! `apply_patch`: a patch of one file or many, of which all is done or nothing.

mod begin_patch;
mod fit;
mod unified;

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope, answer};
use crate::tools::workspace::{Change, Place};
use crate::tools::{schema, text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Files in one patch.
const MAX_FILES: usize = 100;

/// All of them together in memory, as so many of the largest that may be patched.
const MAX_HELD: u64 = 4;

pub struct ApplyPatch;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// A unified diff of one file or more, with paths relative to the workspace: `--- a/src/x.rs`, `+++ b/src/x.rs`,
    /// `@@ -1,3 +1,4 @@`, and lines that begin with a space, `-` or `+`. `/dev/null` stands for a file that is made or
    /// removed; `rename from` and `rename to` after a `diff --git` line rename one. The form `*** Begin Patch` is
    /// understood as well.
    patch: String,
}

/// What a patch does to one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct FilePatch {
    /// `None` for a file that is made.
    from: Option<String>,
    /// `None` for a file that is removed.
    to: Option<String>,
    /// The names differ because the file is renamed, and not because one of them is of a copy somewhere else.
    renames: bool,
    hunks: Vec<Hunk>,
}

/// Lines in the place of others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hunk {
    /// As it is told.
    header: String,
    /// The line that it begins at by its own account, counted from 1.
    line: Option<usize>,
    /// Lines after which it comes, in this order.
    anchors: Vec<String>,
    lines: Vec<(Side, String)>,
    /// Whether the last line ends in a newline, before and after, where that is said.
    newline: (Option<bool>, Option<bool>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

impl Hunk {
    fn old_lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|(side, _)| *side != Side::New).map(|(_, line)| line.as_str())
    }

    fn new_lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|(side, _)| *side != Side::Old).map(|(_, line)| line.as_str())
    }
}

impl FileTool for ApplyPatch {
    const NAME: &'static str = "apply_patch";
    const DESCRIPTION: &'static str = "Changes, makes, removes and renames files of the workspace as a patch says. All of \
        it is done or, where any part does not fit, nothing. Line numbers need not be right, but context and removed \
        lines must be exactly as they are in the file: read it first.";
    const ANNOTATIONS: Annotations = Annotations::WITH_EFFECTS;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        let patch = schema::text_at(arguments, "patch");
        let names = parse(patch).unwrap_or_default();
        let names: Vec<&str> = names.iter().filter_map(|file| file.to.as_deref().or(file.from.as_deref())).collect();
        text::summary(&names.join(" "))
    }

    fn run(Arguments { patch }: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        let files = parse(&patch).map_err(nothing_changed)?;
        if files.len() > MAX_FILES {
            return Err(nothing_changed(format!("The patch has more than {MAX_FILES} files. Split it.")));
        }
        let located = files.iter().map(|file| locate(file, scope)).collect::<Result<Vec<_>, _>>()?;
        let _alone = scope.workspace.lock_all(located.iter().flat_map(Located::places));
        let mut staged = Staged::default();
        let mut told = Vec::new();
        for (file, located) in files.iter().zip(&located) {
            scope.check()?;
            told.push(staged.apply(file, located, scope)?);
        }
        scope.workspace.replace_together(&staged.changes())?;
        Ok(answer(format!("Patched {}:\n{}", text::count(told.len() as u64, "file"), told.join("\n"))))
    }
}

fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let files = match begin_patch::is_one(patch) {
        true => begin_patch::parse(patch)?,
        false => unified::parse(patch)?,
    };
    match files.is_empty() {
        true => {
            Err("There is no change in the patch: it has neither `---` and `+++` lines nor `*** Begin Patch`.".into())
        }
        false => Ok(files),
    }
}

/// Where the files of a patch are.
struct Located {
    from: Option<Place>,
    to: Option<Place>,
}

impl Located {
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.from.iter().chain(&self.to)
    }
}

fn locate(file: &FilePatch, scope: &Scope) -> Result<Located, ToolError> {
    let locate = |name: &Option<String>| name.as_deref().map(|name| scope.workspace.locate(name)).transpose();
    let (mut from, mut to) = (locate(&file.from)?, locate(&file.to)?);
    if !file.renames && from.is_some() && to.is_some() && from != to {
        // A copy such as `x.orig` on one side: the file that is there is meant.
        let exists =
            |place: &Option<Place>| place.as_ref().is_some_and(|place| scope.workspace.open_file(place).is_ok());
        match exists(&to) {
            true => from.clone_from(&to),
            false => to.clone_from(&from),
        }
    }
    Ok(Located { from, to })
}

/// The contents that are to be, while the rest of the patch is looked at.
#[derive(Default)]
struct Staged {
    /// By path; `None` for what is to be gone.
    contents: BTreeMap<PathBuf, (Place, Option<String>)>,
}

impl Staged {
    fn apply(&mut self, file: &FilePatch, located: &Located, scope: &Scope) -> Result<String, ToolError> {
        let name = |place: &Place| text::quoted(&place.to_string());
        match (&located.from, &located.to) {
            (Some(from), Some(to)) => {
                let content = self.content(from, scope)?;
                let patched = self.fitted(file, &content, from, scope)?;
                if patched.len() as u64 > scope.settings.read_limit {
                    let limit = text::count(scope.settings.read_limit, "byte");
                    return Err(nothing_changed(format!("{} would have more than {limit}.", name(to))));
                }
                let hunks = text::count(file.hunks.len() as u64, "hunk");
                if from == to {
                    self.put(to, Some(patched));
                    return Ok(format!("{}: {hunks}", name(to)));
                }
                self.must_be_free(to, scope)?;
                self.put(from, None);
                self.put(to, Some(patched));
                Ok(format!("{} renamed to {}: {hunks}", name(from), name(to)))
            }
            (None, Some(to)) => {
                self.must_be_free(to, scope)?;
                let content = self.fitted(file, "", to, scope)?;
                self.put(to, Some(content));
                Ok(format!("{}: made", name(to)))
            }
            (Some(from), None) => {
                let content = self.content(from, scope)?;
                let left = self.fitted(file, &content, from, scope)?;
                if !file.hunks.is_empty() && !left.is_empty() {
                    let line = left.lines().next().unwrap_or_default();
                    return Err(nothing_changed(format!(
                        "The patch removes {}, but not all of its lines: {} is left.",
                        name(from),
                        text::quoted(line)
                    )));
                }
                self.put(from, None);
                Ok(format!("{}: removed", name(from)))
            }
            (None, None) => Err(nothing_changed("A file of the patch is `/dev/null` on both sides.".to_owned())),
        }
    }

    fn fitted(&self, file: &FilePatch, content: &str, place: &Place, scope: &Scope) -> Result<String, ToolError> {
        let name = text::quoted(&place.to_string());
        let patched = fit::apply(&file.hunks, content, &name, || scope.check().is_ok()).map_err(nothing_changed)?;
        // All of them are held until the last one is known to fit.
        let held = self.contents.values().filter_map(|(_, content)| content.as_ref()).map(String::len);
        let most = scope.settings.read_limit.saturating_mul(MAX_HELD);
        if held.fold(patched.len(), usize::saturating_add) as u64 > most {
            let most = text::count(most, "byte");
            return Err(nothing_changed(format!("Its files have more than {most} together. Split it.")));
        }
        Ok(patched)
    }

    fn put(&mut self, place: &Place, content: Option<String>) {
        self.contents.insert(place.path().to_owned(), (place.clone(), content));
    }

    fn content(&self, place: &Place, scope: &Scope) -> Result<String, ToolError> {
        let name = text::quoted(&place.to_string());
        match self.contents.get(place.path()) {
            Some((_, Some(content))) => return Ok(content.clone()),
            Some((_, None)) => return Err(nothing_changed(format!("{name} is changed after the patch removed it."))),
            None => {}
        }
        let mut text = scope.open_text(place).map_err(and_nothing_changed)?;
        if text.size > scope.settings.read_limit {
            let limit = text::count(scope.settings.read_limit, "byte");
            return Err(nothing_changed(format!("{name} has more than {limit}, the most that can be patched.")));
        }
        let mut content = Vec::new();
        text.reader.read_to_end(&mut content).map_err(|error| scope.unreadable(place, &error))?;
        String::from_utf8(content).map_err(|_| nothing_changed(format!("{name} is not UTF-8 text.")))
    }

    fn must_be_free(&self, place: &Place, scope: &Scope) -> Result<(), ToolError> {
        let exists = match self.contents.get(place.path()) {
            Some((_, content)) => content.is_some(),
            None => scope.workspace.exists(place),
        };
        match exists {
            true => Err(nothing_changed(format!(
                "{} exists already, and the patch would make it. To change it, give its old lines; to replace it, use \
                 write_file.",
                text::quoted(&place.to_string())
            ))),
            false => Ok(()),
        }
    }

    fn changes(self) -> Vec<Change> {
        let changes = self.contents.into_values();
        changes.map(|(place, content)| Change { place, content: content.map(String::into_bytes) }).collect()
    }
}

fn nothing_changed(reason: String) -> ToolError {
    ToolError::TellModel(format!("Nothing was changed. {reason}"))
}

fn and_nothing_changed(error: ToolError) -> ToolError {
    match error {
        ToolError::TellModel(reason) => nothing_changed(reason),
        fatal @ ToolError::Fatal(_) => fatal,
    }
}

#[cfg(test)]
mod tests;
