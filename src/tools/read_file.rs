//! `read_file`: lines of a text file, numbered. The file is streamed, so that only what is shown is held.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope, answer};
use crate::tools::{schema, text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::io::BufRead;

/// Bytes shown of one line. What is longer is data or minified code, and one such line would push out all others.
pub const LINE_LIMIT: usize = 2000;

pub struct ReadFile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The file, relative to the workspace.
    path: String,
    /// The first line to show, counted from 1. Default: 1.
    #[schemars(range(min = 1))]
    offset: Option<u64>,
    /// How many lines to show. Default: as many as fit.
    #[schemars(range(min = 1))]
    limit: Option<u64>,
}

impl FileTool for ReadFile {
    const NAME: &'static str = "read_file";
    const DESCRIPTION: &'static str = "Shows a text file of the workspace, each line after its number and a tab, and \
        says how many lines there are. Give offset and limit to read a part of a long file.";
    const ANNOTATIONS: Annotations = Annotations::READ_ONLY;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        text::summary(schema::text_at(arguments, "path"))
    }

    fn run(arguments: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        let Arguments { path, offset, limit } = arguments;
        let place = scope.workspace.locate(&path)?;
        let mut reader = scope.open_text(&place)?.reader;
        let mut page = Page::new(offset.unwrap_or(1), limit.unwrap_or(u64::MAX), scope.settings.output_limit);
        loop {
            scope.check()?;
            let chunk = reader.fill_buf().map_err(|error| scope.unreadable(&place, &error))?;
            if chunk.is_empty() {
                return page.finish(&text::quoted(&place.to_string())).map(answer);
            }
            page.push(chunk);
            let length = chunk.len();
            reader.consume(length);
        }
    }
}

/// The lines that are to be shown, taken from a file that comes in chunks.
struct Page {
    first: u64,
    limit: u64,
    budget: usize,
    text: String,
    shown: u64,
    /// Whole lines seen.
    total: u64,
    /// The start of the line at hand, as much as can be shown, and its whole length in bytes.
    line: Vec<u8>,
    length: usize,
    /// Its end has not come yet.
    open: bool,
    /// A wanted line did not fit; none after it is shown, or the page would have a hole.
    full: bool,
    damaged: bool,
}

impl Page {
    fn new(first: u64, limit: u64, budget: usize) -> Self {
        let (text, line) = (String::new(), Vec::new());
        Self {
            first,
            limit,
            budget,
            text,
            shown: 0,
            total: 0,
            line,
            length: 0,
            open: false,
            full: false,
            damaged: false,
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let content = piece.strip_suffix(b"\n").unwrap_or(piece);
            if self.wants_line() {
                // One more than is shown, in case the last is a carriage return.
                let room = (LINE_LIMIT + 1).saturating_sub(self.line.len());
                self.line.extend(content.iter().take(room));
            }
            self.length += content.len();
            self.open = content.len() == piece.len();
            if !self.open {
                self.end_line();
            }
        }
    }

    fn wants_line(&self) -> bool {
        self.total + 1 >= self.first && self.shown < self.limit && !self.full
    }

    fn end_line(&mut self) {
        if self.wants_line() {
            let line = self.numbered_line();
            self.full = self.shown > 0 && self.text.len() + line.len() > self.budget;
            if !self.full {
                self.text.push_str(&line);
                self.shown += 1;
            }
        }
        self.total += 1;
        self.line.clear();
        self.length = 0;
    }

    fn numbered_line(&mut self) -> String {
        let (mut line, mut length) = (&*self.line, self.length);
        if line.len() == length {
            line = line.strip_suffix(b"\r").unwrap_or(line);
            length = line.len();
        }
        let head = text::head(line, LINE_LIMIT);
        let shown = String::from_utf8_lossy(head);
        self.damaged |= matches!(shown, Cow::Owned(_));
        let number = self.total + 1;
        match length - head.len() {
            0 => format!("{number}\t{shown}\n"),
            cut => format!("{number}\t{shown} [… {} cut]\n", text::count(cut as u64, "byte")),
        }
    }

    /// The page with a note on what part of the file it is.
    fn finish(mut self, name: &str) -> Result<String, ToolError> {
        if self.open {
            self.end_line();
        }
        let Self { mut text, first, shown, total, damaged, .. } = self;
        if total == 0 {
            return Ok("[empty file]".to_owned());
        }
        if shown == 0 {
            let lines = text::count(total, "line");
            return Err(ToolError::TellModel(format!("offset {first} is past the end: {name} has {lines}.")));
        }
        let last = first + shown - 1;
        let [from, to, all] = [first, last, total].map(text::number);
        text += &match (shown == total, last == total) {
            (true, _) => format!("[{}]", text::count(total, "line")),
            (_, true) => format!("[lines {from}-{to} of {all}]"),
            _ => format!("[lines {from}-{to} of {all}; offset={} goes on]", last + 1),
        };
        if damaged {
            text += "\n[bytes that are not UTF-8 are shown as \u{FFFD}]";
        }
        Ok(text)
    }
}
