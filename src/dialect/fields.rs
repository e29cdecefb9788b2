//! Reading a request's JSON field by field, so that every error names the field and what it should be.

use super::error::{ApiError, excerpt};
use serde_json::{Map, Value};

/// The fields of one object of a request. `null` counts as absent. Fields nobody takes are left in [`Fields::rest`].
#[derive(Debug)]
pub struct Fields {
    path: String,
    map: Map<String, Value>,
}

type Read<T> = Result<T, ApiError>;

impl Fields {
    /// `path` is where the object stands in the request, empty for the body itself.
    pub fn of(value: Value, path: impl Into<String>) -> Read<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            other if path.is_empty() => {
                Err(ApiError::invalid("", format!("The body must be a JSON object, not {}.", kind(&other))))
            }
            other => Err(wrong(&path, "an object", &other)),
        }
    }

    /// The full name of a field, e.g. `messages[0].role`.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// Whether this is the one field that is there.
    pub fn holds_only(&self, key: &str) -> bool {
        self.has(key) && self.map.iter().all(|(other, value)| other == key || value.is_null())
    }

    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    pub fn take_string(&mut self, key: &str) -> Read<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.path(key), "a string", &other)),
        }
    }

    pub fn need_string(&mut self, key: &str) -> Read<String> {
        let text = self.take_string(key)?.ok_or_else(|| self.missing(key, "a string"))?;
        if text.is_empty() {
            return Err(ApiError::invalid(self.path(key), format!("`{}` must not be empty.", self.path(key))));
        }
        Ok(text)
    }

    pub fn take_bool(&mut self, key: &str) -> Read<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(&self.path(key), "true or false", &other)),
        }
    }

    pub fn take_array(&mut self, key: &str) -> Read<Option<Vec<Value>>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(&self.path(key), "an array", &other)),
        }
    }

    pub fn take_object(&mut self, key: &str) -> Read<Option<Self>> {
        self.take(key).map(|value| Self::of(value, self.path(key))).transpose()
    }

    /// The error for a field that must be there.
    pub fn missing(&self, key: &str, expected: &str) -> ApiError {
        let path = self.path(key);
        let message = format!("`{path}` is missing: it must be {expected}.");
        ApiError::invalid(path, message)
    }

    /// Checks a field that stays among the rest, and drops it if it is `null`.
    pub fn check(&mut self, key: &str, check: Check) -> Read<()> {
        let path = self.path(key);
        match self.map.get(key) {
            None => Ok(()),
            Some(Value::Null) => {
                self.map.shift_remove(key);
                Ok(())
            }
            Some(value) => check.run(&path, value),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub fn rest(self) -> Map<String, Value> {
        self.map
    }
}

/// What a field that is passed on must look like.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    Number {
        min: f64,
        max: f64,
    },
    /// A whole number from `min` up to what an i64 holds.
    Integer {
        min: i64,
    },
    String,
    Bool,
    Object,
    /// A string, or an array of strings.
    Strings,
    /// An object of numbers from -100 to 100 by token (OpenAI's `logit_bias`).
    Biases,
    /// At most 16 pairs of a key of up to 64 characters and a string of up to 512 (OpenAI's `metadata`).
    Metadata,
}

impl Check {
    fn run(self, path: &str, value: &Value) -> Read<()> {
        let fits = match self {
            Self::Number { min, max } => match value.as_f64() {
                Some(number) if (min..=max).contains(&number) => true,
                Some(_) => return Err(ApiError::invalid(path, format!("`{path}` must be from {min} to {max}."))),
                None => false,
            },
            Self::Integer { min } => return integer(path, value, min).map(drop),
            Self::String => value.is_string(),
            Self::Bool => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Strings => match value.as_array().and_then(|all| find(all, |one| !one.is_string())) {
                Some((at, other)) => return Err(wrong(&format!("{path}[{at}]"), "a string", other)),
                None => value.is_string() || value.is_array(),
            },
            Self::Biases => return biases(path, value),
            Self::Metadata => return metadata(path, value),
        };
        if fits { Ok(()) } else { Err(wrong(path, self.expected(), value)) }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Number { .. } => "a number",
            Self::Integer { .. } => "a whole number",
            Self::String => "a string",
            Self::Bool => "true or false",
            Self::Object | Self::Biases | Self::Metadata => "an object",
            Self::Strings => "a string or an array of strings",
        }
    }
}

fn find(values: &[Value], wanted: impl Fn(&Value) -> bool) -> Option<(usize, &Value)> {
    values.iter().enumerate().find(|(_, value)| wanted(value))
}

/// A whole number, also one written as `3.0`, that is at least `min`.
pub fn integer(path: &str, value: &Value, min: i64) -> Read<i64> {
    let Value::Number(number) = value else { return Err(wrong(path, "a whole number", value)) };
    let float = number.as_f64().unwrap_or(f64::NAN);
    let whole = number.as_i64().or_else(|| (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64));
    match whole {
        Some(number) if number >= min => Ok(number),
        None if float.fract() != 0.0 => {
            let message = format!("`{path}` must be a whole number, not {number}.");
            Err(ApiError::invalid(path, message).with_code("invalid_type"))
        }
        None if float > 0.0 => Err(ApiError::invalid(path, format!("`{path}` must be at most {}.", i64::MAX))),
        _ => Err(ApiError::invalid(path, format!("`{path}` must be at least {min}."))),
    }
}

/// How many likely tokens are asked for at each place: 0 to 20.
pub fn top_logprobs(value: &Value) -> Read<u8> {
    let top = integer("top_logprobs", value, 0)?;
    let fits = u8::try_from(top).ok().filter(|top| *top <= 20);
    fits.ok_or_else(|| ApiError::invalid("top_logprobs", "`top_logprobs` must be at most 20."))
}

fn biases(path: &str, value: &Value) -> Read<()> {
    let Value::Object(map) = value else { return Err(wrong(path, "an object of numbers", value)) };
    let bias = Check::Number { min: -100.0, max: 100.0 };
    map.iter().try_for_each(|(token, value)| bias.run(&format!("{path}.{}", excerpt(token)), value))
}

fn metadata(path: &str, value: &Value) -> Read<()> {
    let Value::Object(map) = value else { return Err(wrong(path, "an object of strings", value)) };
    if map.len() > 16 {
        return Err(ApiError::invalid(path, format!("`{path}` may have at most 16 pairs, not {}.", map.len())));
    }
    for (key, value) in map {
        let at = format!("{path}.{key}");
        if key.chars().count() > 64 {
            return Err(ApiError::invalid(path, format!("A key of `{path}` may have at most 64 characters.")));
        }
        match value {
            Value::String(text) if text.chars().count() <= 512 => {}
            Value::String(_) => {
                return Err(ApiError::invalid(&at, format!("`{at}` may have at most 512 characters.")));
            }
            other => return Err(wrong(&at, "a string", other)),
        }
    }
    Ok(())
}

/// The error for a field of the wrong type.
pub fn wrong(path: &str, expected: &str, got: &Value) -> ApiError {
    ApiError::invalid(path, format!("`{path}` must be {expected}, not {}.", kind(got))).with_code("invalid_type")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
