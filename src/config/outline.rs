//! Which key stands on which line of the file: serde's errors know a place but no key, ours a key but no place.

use serde_saphyr::granit_parser::{Event, Marker, Parser};

use super::value;

/// Levels of nesting taken, more than any setting has: reading goes down the stack with them, 32 KiB a level in debug
/// builds.
pub(super) const MAX_DEPTH: usize = 32;

/// Every key, value and list item of a YAML document with its place, in the order of the file. A key and its value
/// share a path, the key first.
#[derive(Debug, Default)]
pub(super) struct Outline {
    marks: Vec<Mark>,
}

/// Line and column count from 1.
#[derive(Debug)]
struct Mark {
    path: String,
    line: u64,
    column: u64,
}

/// Which of the nodes that begin at one place an error is about: a map begins where its first key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    Outermost,
    Innermost,
}

/// A list or map whose end has not come yet.
#[derive(Debug)]
struct Open {
    path: String,
    next: Next,
}

/// What the next node in a list or map is.
#[derive(Debug)]
enum Next {
    Item(usize),
    Key,
    ValueOf(String),
}

impl Outline {
    /// Ends where the text is no longer YAML, or nested too deep: to say so is for the typed reading.
    pub fn read(text: &str) -> Self {
        let mut outline = Self::default();
        let mut open: Vec<Open> = Vec::new();
        for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
            let next = match &event {
                Event::SequenceStart(..) => Some(Next::Item(0)),
                Event::MappingStart(..) => Some(Next::Key),
                Event::Scalar(..) | Event::Alias(..) => None,
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => break,
                _ => continue,
            };
            let name = if let Event::Scalar(text, ..) = &event { text.as_ref() } else { "" };
            let path = open.last_mut().map(|around| around.step(name)).unwrap_or_default();
            outline.mark(path.clone(), span.start);
            if open.len() == MAX_DEPTH {
                break;
            }
            open.extend(next.map(|next| Open { path, next }));
        }
        outline
    }

    /// Line and column of the key (of the value, for the root and list items).
    pub fn position(&self, path: &str) -> Option<(u64, u64)> {
        self.marks.iter().find(|mark| mark.path == path).map(|mark| (mark.line, mark.column))
    }

    /// The path of what stands at a place, or of the last thing before it.
    pub fn path_at(&self, line: u64, column: u64, pick: Pick) -> &str {
        let here = |mark: &&Mark| (mark.line, mark.column) == (line, column);
        let before = |mark: &&Mark| (mark.line, mark.column) <= (line, column);
        let found = match pick {
            Pick::Outermost => self.marks.iter().find(here),
            Pick::Innermost => self.marks.iter().rfind(here),
        };
        found.or_else(|| self.marks.iter().rfind(before)).map_or("", |mark| &mark.path)
    }

    /// How early a key comes in the file; one that is not there comes last.
    pub fn rank(&self, path: &str) -> usize {
        self.marks.iter().position(|mark| mark.path == path).unwrap_or(usize::MAX)
    }

    fn mark(&mut self, path: String, place: Marker) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (line, column) = (count(place.line()), count(place.col()).saturating_add(1));
        self.marks.push(Mark { path, line, column });
    }
}

impl Open {
    /// Takes the next node, called `name` if it is a key, and tells its path.
    fn step(&mut self, name: &str) -> String {
        let (path, next) = match std::mem::replace(&mut self.next, Next::Key) {
            Next::Item(index) => (format!("{}[{index}]", self.path), Next::Item(index + 1)),
            Next::Key => {
                let path = value::join(&self.path, name);
                (path.clone(), Next::ValueOf(path))
            }
            Next::ValueOf(path) => (path, Next::Key),
        };
        self.next = next;
        path
    }
}
