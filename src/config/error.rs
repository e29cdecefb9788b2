//! What can be wrong with a configuration, and where: the file and line, the variable or the flag.

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use super::{outline::Outline, value};

/// Why the daemon does not start. Its text is meant for the person who wrote the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for, or that is there, cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// One line per problem; never empty.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// One bad setting: where it was made, its key, and what was expected there. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// Key path such as `upstreams.local.base_url`; empty for the document as a whole.
    pub key: String,
    pub message: String,
}

impl Problem {
    pub(super) fn of_variable(name: &'static str, message: impl Into<String>) -> Self {
        Self { origin: Origin::Variable(name), key: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}: ", path.display())?,
            // The name says which setting is meant; the key would only repeat it.
            Origin::Variable(name) | Origin::Flag(name) => {
                return write!(f, "{name}: {}", self.message);
            }
            Origin::Default => {}
        }
        match self.key.as_str() {
            "" => f.write_str(&self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Line and column count from 1.
    File {
        path: PathBuf,
        line: u64,
        column: u64,
    },
    Variable(&'static str),
    Flag(&'static str),
    Default,
}

/// Who set which key: what the file holds, and what outranked it.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub file: Option<(PathBuf, Outline)>,
    outranked: BTreeMap<String, Origin>,
}

impl Sources {
    pub fn outrank(&mut self, key: impl Into<String>, origin: Origin) {
        self.outranked.insert(key.into(), origin);
    }

    /// The origin of a key or, where it was never written, of the nearest thing around it.
    pub fn origin(&self, key: &str) -> Origin {
        let mut around = std::iter::successors(Some(key), |key| value::parent(key));
        around.find_map(|key| self.outranked.get(key).cloned().or_else(|| self.in_file(key))).unwrap_or(Origin::Default)
    }

    /// How early a key comes in the file, if there is one.
    pub fn rank(&self, key: &str) -> usize {
        self.file.as_ref().map_or(usize::MAX, |(_, outline)| outline.rank(key))
    }

    fn in_file(&self, key: &str) -> Option<Origin> {
        let (path, outline) = self.file.as_ref()?;
        let (line, column) = outline.position(key)?;
        Some(Origin::File { path: path.clone(), line, column })
    }
}

/// Collects the problems of a whole configuration, so that one run shows them all.
pub(super) struct Problems<'a> {
    sources: &'a Sources,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, found: Vec::new() }
    }

    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        self.found.push(Problem { origin: self.sources.origin(&key), key, message: message.into() });
    }

    /// Adds a problem unless `good`.
    pub fn expect(&mut self, good: bool, key: impl Into<String>, message: &str) {
        if !good {
            self.add(key, message);
        }
    }

    /// Adds the error of a check that says itself what was expected.
    pub fn check(&mut self, key: impl Into<String>, result: Result<(), String>) {
        if let Err(message) = result {
            self.add(key, message);
        }
    }

    pub fn into_result(self) -> Result<(), ConfigError> {
        if self.found.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(self.found)) }
    }
}
