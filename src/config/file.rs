//! The configuration file: where it is looked for, how it is read, and what its errors say.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_saphyr::{MessageFormatter, budget::BudgetBreach};

use super::{
    auth::Auth,
    environment::Environment,
    error::{ConfigError, Origin, Problem},
    log::Log,
    outline::{MAX_DEPTH, Outline, Pick},
    profiles::Profile,
    sandbox::Sandbox,
    server::Server,
    skills::Skills,
    store::Store,
    tools::Tools,
    upstreams::Upstream,
    value,
};

/// More than any configuration needs: a path that leads to something else is refused, not read to its end.
const MAX_BYTES: usize = 1 << 20;

/// The file as it is written; what it leaves out has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Document {
    pub data_dir: Option<PathBuf>,
    pub server: Server,
    pub auth: Auth,
    pub upstreams: BTreeMap<String, Upstream>,
    pub profiles: BTreeMap<String, Profile>,
    pub tools: Tools,
    pub sandbox: Sandbox,
    pub skills: Skills,
    pub store: Store,
    pub log: Log,
}

/// The file to read: the one that is named, which must be there, or else the first of the usual ones that is.
/// `None` if there is none.
pub(super) fn find(flag: Option<&Path>, env: &Environment<'_>) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(named) = flag.map(PathBuf::from).or_else(|| env.path("NUNCIO_CONFIG")) {
        return Ok(Some(env.cwd.join(named)));
    }
    let near = env.cwd.join("config.yaml");
    let far = env.folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("nuncio/config.yaml"));
    for path in [Some(near), far].into_iter().flatten() {
        match path.try_exists() {
            Ok(true) => return Ok(Some(path)),
            Ok(false) => {}
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        }
    }
    Ok(None)
}

/// Reads a whole file, or says what and where the first thing wrong with it is.
pub(super) fn read(path: &Path) -> Result<(Document, Outline), ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    // To open a pipe would wait for someone who writes.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("not a regular file")));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(io::Error::other("larger than 1MiB, so hardly a configuration")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(path, &text),
        Err(error) => Err(not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to()).into()),
    }
}

fn parse(path: &Path, text: &str) -> Result<(Document, Outline), ConfigError> {
    let outline = Outline::read(text);
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        // Only `true` and `false`, as YAML 1.2 has it: in `sampling` a bare `no` would else silently become false.
        strict_booleans: true,
        // Bare `true` and `123` are no texts: they would pass as host and model names.
        no_schema: true,
        reject_unsupported_tags: true,
        // Nobody reads them here, and kept ones are limited: a section that is commented out may be long.
        emit_comments: false,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(document) => Ok((document, outline)),
        Err(error) => Err(problem(path, &outline, &error).into()),
    }
}

fn not_utf8(path: &Path, bytes: &[u8], good: usize) -> Problem {
    let before = bytes.get(..good).unwrap_or_default();
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    let line = u64::try_from(newlines).unwrap_or(u64::MAX).saturating_add(1);
    let origin = Origin::File { path: path.to_owned(), line, column: 1 };
    Problem { origin, key: String::new(), message: "expected UTF-8 text".to_owned() }
}

fn problem(path: &Path, outline: &Outline, error: &serde_saphyr::Error) -> Problem {
    use serde_saphyr::Error as E;
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let pick = match error {
        E::Unexpected { .. } | E::SerdeMissingField { .. } => Pick::Outermost,
        E::SerdeInvalidType { unexpected, .. } if unexpected == "map" || unexpected == "sequence" => Pick::Outermost,
        _ => Pick::Innermost,
    };
    let place = outline.path_at(line, column, pick);
    let key = match error {
        E::SerdeMissingField { field, .. } => value::join(place, field),
        E::MultipleDocuments { .. } => String::new(),
        _ => place.to_owned(),
    };
    Problem { origin: Origin::File { path: path.to_owned(), line, column }, key, message: message(error) }
}

/// serde's and the parser's errors in the words of someone who edits a file and has never seen our types.
fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    match error {
        E::SerdeUnknownField { expected, .. } => {
            format!("unknown key; expected one of {}", expected.join(", "))
        }
        E::SerdeMissingField { .. } => "this key must be given".to_owned(),
        E::SerdeUnknownVariant { variant, expected, .. } => {
            format!("expected one of {}; found `{}`", expected.join(", "), variant.escape_debug())
        }
        E::SerdeInvalidType { unexpected, expected, .. } | E::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("expected {expected}; found {}", if unexpected == "unit value" { "nothing" } else { unexpected })
        }
        E::DuplicateMappingKey { .. } => "this key is given twice; expected it once".to_owned(),
        // The value is not repeated: it may be a key.
        E::QuotingRequired { .. } => {
            "expected a text; YAML takes this for a number, true or false: put it in quotes".to_owned()
        }
        E::InvalidBooleanStrict { .. } => "expected true or false".to_owned(),
        E::NullIntoString { .. } => "expected a text; found nothing".to_owned(),
        E::Unexpected { expected: "mapping start", .. } => "expected keys with values".to_owned(),
        E::Unexpected { expected: "sequence start", .. } => "expected a list".to_owned(),
        E::Unexpected { expected: "string scalar" | "scalar", .. } => {
            "expected a single value; found a list or keys with values".to_owned()
        }
        E::MultipleDocuments { .. } => "expected one YAML document; a second one begins here".to_owned(),
        E::NonFiniteFloat { .. } => "expected a finite number".to_owned(),
        E::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("expected at most {MAX_DEPTH} levels of nesting")
        }
        E::AliasError { error, .. } => message(error),
        other => serde_saphyr::DefaultMessageFormatter.format_message(other).into_owned(),
    }
}
