//! JSON schemas: compiled, and what does not fit one told in words that its author, mostly a model, can mend it by.

mod extent;

use crate::core::text::ellipsis;
use extent::Extent;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ReferencingError, ValidationError, Validator};
use serde_json::Value;

/// How many faults of one value are told: enough to mend it in one go, too few to drown the model.
const MAX_FAULTS: usize = 5;

/// Longest value that is repeated to the model that wrote it, in bytes.
const MAX_VALUE: usize = 60;

/// Longest text about one fault, in characters.
pub const MAX_FAULT: usize = 400;

/// Bytes of a stranger's schema: what OpenAI takes, and some more.
const MAX_BYTES: usize = 256 * 1024;

/// Parts of a stranger's schema, each counted as often as a reference leads to it: that often a value may be looked at.
const MAX_PARTS: u64 = 100_000;

/// Patterns of a stranger's schema, and what each may take of time and, in bytes, of memory.
const MAX_PATTERNS: usize = 200;
const MAX_BACKTRACKS: usize = 100_000;
const MAX_PATTERN_SIZE: usize = 512 * 1024;

/// How often a value may be gone through to find its faults, where a schema leads back into itself.
const MAX_ROUNDS: u64 = 10_000;

/// A schema that values can be checked against. It fetches nothing, whatever it refers to.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    /// How many references lead back to where they are.
    circles: u64,
}

impl Schema {
    /// Compiles a schema of the daemon's own. The error says what is wrong with it.
    pub fn new(schema: &Value) -> Result<Self, String> {
        Self::compile(schema, Extent::of(schema).circles)
    }

    /// Compiles a schema that a stranger wrote, unless it could take a great deal of memory or time.
    pub fn of_stranger(schema: &Value) -> Result<Self, String> {
        let bytes = schema.to_string().len();
        if bytes > MAX_BYTES {
            return Err(format!("it has {bytes} bytes, and {MAX_BYTES} are the most"));
        }
        let extent = Extent::of(schema);
        if let Some(stray) = extent.stray {
            let stray = ellipsis(&stray, MAX_FAULT);
            return Err(format!(
                "it refers to {stray}, and a reference may only name a place in it, as #/$defs/name does"
            ));
        }
        if extent.parts > MAX_PARTS {
            return Err(format!("with all its references followed it has more than {MAX_PARTS} parts"));
        }
        if extent.patterns > MAX_PATTERNS {
            return Err(format!("it has {} patterns, and {MAX_PATTERNS} are the most", extent.patterns));
        }
        Self::compile(schema, extent.circles)
    }

    fn compile(schema: &Value, circles: u64) -> Result<Self, String> {
        let patterns = PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS).size_limit(MAX_PATTERN_SIZE);
        let validator = jsonschema::options().offline().with_pattern_options(patterns).build(schema);
        let validator = validator.map_err(|error| match error.kind() {
            ValidationErrorKind::Referencing(error) => astray(error),
            _ => fault(&error),
        })?;
        Ok(Self { validator, circles })
    }

    pub fn accepts(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// What keeps a value from being accepted, each fault on a line of its own after `\n- `. Empty if nothing does, or
    /// if finding out could take too long.
    pub fn faults(&self, value: &Value) -> String {
        let mut faults = String::new();
        // Faults are looked for on every way through the schema that leads to a value, and circles double the ways.
        if self.circles.max(1).checked_pow(depth(value)).is_none_or(|rounds| rounds > MAX_ROUNDS) {
            return faults;
        }
        for (index, error) in self.validator.iter_errors(value).take(MAX_FAULTS + 1).enumerate() {
            faults.push_str("\n- ");
            match index {
                MAX_FAULTS => faults.push_str("… and more"),
                _ => faults.push_str(&fault(&error)),
            }
        }
        faults
    }
}

fn depth(value: &Value) -> u32 {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    inner.unwrap_or(0).saturating_add(1)
}

fn astray(error: &ReferencingError) -> String {
    let text = match error {
        ReferencingError::PointerToNowhere { pointer } => format!("it refers to #{pointer}, which is not there"),
        ReferencingError::UnknownSpecification { specification } => {
            format!("its `$schema`, {specification}, is no draft of json-schema.org")
        }
        other => other.to_string(),
    };
    ellipsis(&text, MAX_FAULT)
}

/// All that there is to choose from: the validator's own words name the first few, and the one that is meant may be any.
fn none_of(value: &str, options: &Value) -> String {
    let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
    match options.split_last() {
        Some((last, [])) => format!("{value} is not {last}"),
        Some((last, others)) => format!("{value} is not one of {} or {last}", others.join(", ")),
        None => format!("{value} is none of those that there are"),
    }
}

fn fault(error: &ValidationError<'_>) -> String {
    let short = match error.instance().as_ref() {
        Value::String(text) => text.len() <= MAX_VALUE,
        Value::Array(_) | Value::Object(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    let text = match (error.kind(), short) {
        (ValidationErrorKind::Enum { options }, true) => none_of(&error.instance().to_string(), options),
        (ValidationErrorKind::Enum { options }, false) => none_of("the value", options),
        (_, true) => error.to_string(),
        (_, false) => error.masked_with("the value").to_string(),
    };
    let text = match error.instance_path().as_str() {
        "" => text,
        path => format!("at {path}: {text}"),
    };
    ellipsis(&text, MAX_FAULT)
}

#[cfg(test)]
mod tests;
