//! `list_files`: what is in a folder and below it.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope, answer};
use crate::tools::walk::{Entry, Filter, Found, Halt, MAX_DEPTH, Walk};
use crate::tools::workspace::Place;
use crate::tools::{schema, text};
use rustix::fs::{AtFlags, FileType, readlinkat, statat};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Levels listed when the model does not say: enough to see how a project is laid out.
const DEPTH: usize = 3;

/// Entries listed by one call.
const MAX_ENTRIES: usize = 1000;

/// Entries listed of each folder below the one that was asked for.
const MAX_PER_FOLDER: usize = 100;

pub struct ListFiles;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The folder, relative to the workspace. Default: the workspace itself.
    path: Option<String>,
    /// How many levels of folders to list; 1 is the folder alone. Default: 3, or all if a glob is given.
    #[schemars(range(min = 1))]
    depth: Option<usize>,
    /// List only files that fit, such as `*.rs`, or `src/**/*.{ts,tsx}` from the folder on.
    glob: Option<String>,
}

impl FileTool for ListFiles {
    const NAME: &'static str = "list_files";
    const DESCRIPTION: &'static str = "Lists the files and folders of the workspace with their sizes, hidden ones too, \
        but not what is in .git. Symlinks are shown and not followed.";
    const ANNOTATIONS: Annotations = Annotations::READ_ONLY;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        match (schema::text_at(arguments, "path"), schema::text_at(arguments, "glob")) {
            ("", "") => ".".to_owned(),
            (path, glob) => text::summary(&format!("{path} {glob}")),
        }
    }

    fn run(Arguments { path, depth, glob }: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        let start = scope.workspace.locate(path.as_deref().unwrap_or("."))?;
        let filter = Filter::new(glob.as_deref())?;
        let (usual_depth, per_folder) = if filter.is_set() { (MAX_DEPTH, usize::MAX) } else { (DEPTH, MAX_PER_FOLDER) };
        let walk = Walk { scope, depth: depth.unwrap_or(usual_depth), per_folder, gitignore: false };
        let mut list = List { budget: scope.settings.output_limit, ..List::default() };
        walk.run(&start, &mut |found| list.take(found, &start, &filter))?;
        Ok(answer(list.finish(&filter)))
    }
}

#[derive(Default)]
struct List {
    budget: usize,
    text: String,
    entries: usize,
    /// Folders that were not looked into, and would be with more depth.
    closed: usize,
    /// Folders that no depth opens.
    shut: usize,
    full: bool,
}

impl List {
    fn take(&mut self, found: Found<'_>, start: &Place, filter: &Filter) -> Result<(), Halt> {
        match found {
            Found::Closed { for_good: false } => self.closed += 1,
            Found::Closed { for_good: true } => self.shut += 1,
            Found::More { folder, count } => {
                self.push(&format!("{folder}/ [{} more]\n", text::number(count as u64)))?
            }
            Found::Entry(entry) => {
                let file = entry.kind != FileType::Directory;
                if !filter.is_set() || (file && filter.fits(start, &entry)) {
                    self.full = self.entries == MAX_ENTRIES;
                    self.push(&described(&entry))?;
                    self.entries += 1;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, line: &str) -> Result<(), Halt> {
        self.full |= self.text.len() + line.len() > self.budget;
        if self.full {
            return Err(Halt::Enough);
        }
        self.text.push_str(line);
        Ok(())
    }

    fn finish(mut self, filter: &Filter) -> String {
        let entries = text::count(self.entries as u64, "entry");
        self.text += &match (self.entries, self.full) {
            (0, _) if filter.is_set() => "[no file fits the glob".to_owned(),
            (0, _) => "[empty folder".to_owned(),
            (_, false) => format!("[{entries}"),
            (_, true) => format!("[the first {entries}; give a folder as path, or a glob, to see others"),
        };
        let reasons = [(self.closed, "see depth"), (self.shut, "unreadable or too deep; try it as path")];
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0 && !self.full) {
            let folders = text::count(count as u64, "folder");
            self.text += &format!("; {folders} not opened, {reason}");
        }
        self.text + "]"
    }
}

/// One line on an entry. What cannot be looked at any more is shown by its name alone.
fn described(Entry { place, name, kind, folder }: &Entry<'_>) -> String {
    match kind {
        FileType::Directory => format!("{place}/\n"),
        FileType::RegularFile => match statat(folder, *name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => format!("{place} ({})\n", text::count(stat.st_size.unsigned_abs(), "byte")),
            Err(_) => format!("{place}\n"),
        },
        FileType::Symlink => match readlinkat(folder, *name, Vec::new()) {
            Ok(target) => format!("{place} -> {}\n", text::path(OsStr::from_bytes(target.to_bytes()).as_ref())),
            Err(_) => format!("{place}\n"),
        },
        _ => format!("{place} (not a regular file)\n"),
    }
}
