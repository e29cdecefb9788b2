//! `search_files`: lines that match a regular expression, with ripgrep's crates.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, ToolError};
use crate::tools::file_tool::{FileTool, Scope, answer};
use crate::tools::walk::{Filter, Found, Halt, MAX_DEPTH, Walk};
use crate::tools::workspace::{self, Place};
use crate::tools::{schema, text};
use grep_matcher::{LineTerminator, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkFinish, SinkMatch,
};
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};

/// Most context lines around a match.
const MAX_CONTEXT: usize = 20;

/// Longest reason why a pattern is refused, in characters; it quotes the pattern.
const MAX_REASON: usize = 1000;

/// Bytes shown of a line, those around its match.
const LINE_LIMIT: usize = 400;

/// Longest line that is searched, in bytes. A file with a longer one is passed over, as it would have to be held whole.
const HEAP: usize = 8 * 1024 * 1024;

pub struct SearchFiles;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// A regular expression as ripgrep takes it, matched within single lines. Escape what shall be taken literally: `foo\(`.
    pattern: String,
    /// The folder or file to search, relative to the workspace. Default: the workspace itself.
    path: Option<String>,
    /// Search only files that fit, such as `*.rs`, or `src/**/*.{ts,tsx}` from the folder on.
    glob: Option<String>,
    /// Take upper and lower case for the same. Default: false.
    ignore_case: Option<bool>,
    /// How many lines to show before and after each match, at most 20. Default: 0.
    context: Option<usize>,
    /// Also search files that a .gitignore leaves out. Default: false.
    include_ignored: Option<bool>,
}

impl FileTool for SearchFiles {
    const NAME: &'static str = "search_files";
    const DESCRIPTION: &'static str = "Searches the contents of text files in the workspace for a regular expression. \
        Shows each matching line after its number, by file. Hidden files are searched, .git, symlinks and binary files \
        are not.";
    const ANNOTATIONS: Annotations = Annotations::READ_ONLY;
    type Arguments = Arguments;

    fn summary(arguments: &Value) -> String {
        text::summary(schema::text_at(arguments, "pattern"))
    }

    fn run(arguments: Arguments, scope: &Scope) -> Result<Vec<Part>, ToolError> {
        let start = scope.workspace.locate(arguments.path.as_deref().unwrap_or("."))?;
        let filter = Filter::new(arguments.glob.as_deref())?;
        let mut search = Search::new(&arguments, scope)?;
        if scope.workspace.is_folder(&start) {
            let gitignore = !arguments.include_ignored.unwrap_or(false);
            let walk = Walk { scope, depth: MAX_DEPTH, per_folder: usize::MAX, gitignore };
            walk.run(&start, &mut |found| search.take(found, &start, &filter))?;
        } else {
            // A file that was asked for by name is not passed over in silence.
            let file = scope.workspace.open_file(&start)?;
            search.file(&start, file)?;
        }
        Ok(answer(search.finish()))
    }
}

/// One search over many files.
struct Search<'s> {
    scope: &'s Scope,
    matcher: RegexMatcher,
    searcher: Searcher,
    text: String,
    matches: u64,
    files: u64,
    /// Files and folders that were not searched.
    missed: u64,
    /// There may be more matches than are shown.
    full: bool,
}

impl<'s> Search<'s> {
    fn new(arguments: &Arguments, scope: &'s Scope) -> Result<Self, ToolError> {
        let mut matcher = RegexMatcherBuilder::new();
        matcher.case_insensitive(arguments.ignore_case.unwrap_or(false)).crlf(true).multi_line(true);
        let matcher = matcher.build(&arguments.pattern).map_err(|error| {
            let reason = text::ellipsis(&error.to_string(), MAX_REASON);
            ToolError::TellModel(format!("pattern is not a usable regular expression: {reason}"))
        })?;
        let context = arguments.context.unwrap_or(0).min(MAX_CONTEXT);
        let searcher = SearcherBuilder::new()
            .line_terminator(LineTerminator::crlf())
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(HEAP))
            .before_context(context)
            .after_context(context)
            .build();
        Ok(Self { scope, matcher, searcher, text: String::new(), matches: 0, files: 0, missed: 0, full: false })
    }

    fn take(&mut self, found: Found<'_>, start: &Place, filter: &Filter) -> Result<(), Halt> {
        match found {
            Found::Closed { .. } => self.missed += 1,
            Found::More { count, .. } => self.missed += count as u64,
            Found::Entry(entry) if entry.kind == FileType::RegularFile && filter.fits(start, &entry) => {
                match workspace::open_file_in(entry.folder, entry.name, &entry.place) {
                    Ok(file) => self.file(&entry.place, file)?,
                    Err(_) => self.missed += 1,
                }
            }
            Found::Entry(_) => {}
        }
        if self.full { Err(Halt::Enough) } else { Ok(()) }
    }

    fn file(&mut self, place: &Place, file: File) -> Result<(), ToolError> {
        let mut hits = Hits {
            matcher: &self.matcher,
            room: self.scope.settings.max_matches - self.matches,
            budget: self.scope.settings.output_limit.saturating_sub(self.text.len()),
            text: format!("{place}\n"),
            settled: 0,
            matches: 0,
            full: false,
            binary: false,
        };
        let file = WhileWanted { file, scope: self.scope };
        let searched = self.searcher.search_reader(&self.matcher, file, &mut hits);
        self.scope.check()?;
        if searched.is_err() || hits.binary {
            self.missed += 1;
            return Ok(());
        }
        self.full = hits.full;
        if hits.matches > 0 {
            self.matches += hits.matches;
            self.files += 1;
            self.text.push_str(&hits.text);
            self.text.push('\n');
        }
        Ok(())
    }

    fn finish(mut self) -> String {
        let matches = text::count(self.matches, "match");
        let files = text::count(self.files, "file");
        self.text += &match (self.matches, self.full) {
            (0, false) => "[no matches".to_owned(),
            (_, false) => format!("[{matches} in {files}"),
            (_, true) => format!("[the first {matches}; a narrower pattern, path or glob shows others"),
        };
        if self.missed > 0 {
            let missed = text::count(self.missed, "file");
            self.text += &format!("; {missed} not searched: binary, unreadable or with a line over 8 MiB");
        }
        self.text + "]"
    }
}

/// What one file adds to the result.
struct Hits<'m> {
    matcher: &'m RegexMatcher,
    room: u64,
    budget: usize,
    text: String,
    /// How much of the text is matches and what follows them, not context of a match that is yet to come.
    settled: usize,
    matches: u64,
    full: bool,
    binary: bool,
}

impl Hits<'_> {
    /// Adds a line, or ends the search if there is no room for it.
    fn push(&mut self, line: &str) -> bool {
        self.full |= self.text.len() + line.len() > self.budget;
        if !self.full {
            self.text.push_str(line);
        }
        !self.full
    }

    /// A line of the file, if need be only the part around its match.
    fn excerpt(&self, line: &[u8]) -> String {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() <= LINE_LIMIT {
            return String::from_utf8_lossy(line).into_owned();
        }
        let hit = self.matcher.find(line).ok().flatten().map_or(0, |hit| hit.start());
        let (before, from) = line.split_at(hit.saturating_sub(LINE_LIMIT / 4)); // invariant: a match starts in its line
        let half = from.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
        let from = from.get(half..).unwrap_or_default();
        let shown = text::head(from, LINE_LIMIT);
        let [start, end] = [before.is_empty(), shown.len() == from.len()].map(|whole| if whole { "" } else { "…" });
        format!("{start}{}{end}", String::from_utf8_lossy(shown))
    }
}

impl Sink for Hits<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, hit: &SinkMatch<'_>) -> io::Result<bool> {
        self.full |= self.matches == self.room;
        let line = format!("{}: {}\n", hit.line_number().unwrap_or_default(), self.excerpt(hit.bytes()));
        let fits = self.push(&line);
        if fits {
            self.matches += 1;
            self.settled = self.text.len();
        }
        Ok(fits)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        let line = format!("{}- {}\n", context.line_number().unwrap_or_default(), self.excerpt(context.bytes()));
        let fits = self.push(&line);
        if fits && *context.kind() == SinkContextKind::After {
            self.settled = self.text.len();
        }
        Ok(fits)
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        Ok(self.push("--\n"))
    }

    fn finish(&mut self, _: &Searcher, end: &SinkFinish) -> io::Result<()> {
        self.binary = end.binary_byte_offset().is_some();
        self.text.truncate(self.settled);
        Ok(())
    }
}

/// A file that cannot be read any more when nobody waits for the result.
struct WhileWanted<'s> {
    file: File,
    scope: &'s Scope,
}

impl Read for WhileWanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.scope.check().map_err(io::Error::other)?;
        self.file.read(buffer)
    }
}
