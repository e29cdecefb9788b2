//! One JSON value of a kind that servers do not agree on.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// A value that should be a string or a number and may be anything. A string, the usual case, is copied once.
#[derive(Debug, Default, PartialEq)]
pub enum Loose {
    #[default]
    Nothing,
    Text(String),
    /// In a box, as it is rare and large.
    Other(Box<Value>),
}

impl Loose {
    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, also one written as a string.
    pub fn as_count(&self) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Text(text) => text.trim().parse().ok(),
            // A negative or fractional count is cut to what a count can be.
            Self::Other(value) => value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)),
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Other(value) => value.as_f64(),
            _ => None,
        }
    }

    /// A name or id that says something: an empty one is none.
    pub fn into_name(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Other(value) if value.is_number() => Some(value.to_string()),
            _ => None,
        }
    }

    /// The text of a string, of an object's `text`, or of an array of parts.
    pub fn into_text(self) -> String {
        fn text_of(value: &Value) -> String {
            match value {
                Value::String(text) => text.clone(),
                Value::Array(parts) => parts.iter().map(text_of).collect(),
                Value::Object(part) => part.get("text").map(text_of).unwrap_or_default(),
                _ => String::new(),
            }
        }
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text,
            Self::Other(value) => text_of(&value),
        }
    }

    /// Arguments are JSON text; a server that sends the object itself means the same.
    pub fn into_arguments(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text,
            Self::Other(value) => value.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Loose, E> {
        Ok(Loose::Nothing)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Loose, E> {
        Ok(Loose::Other(Box::new(value.into())))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Loose, E> {
        Ok(Loose::Other(Box::new(value.into())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Loose, E> {
        Ok(Loose::Other(Box::new(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Loose, E> {
        Ok(Loose::Other(Box::new(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Loose, A::Error> {
        Value::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(|value| Loose::Other(Box::new(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose, A::Error> {
        Value::deserialize(de::value::MapAccessDeserializer::new(map)).map(|value| Loose::Other(Box::new(value)))
    }
}
