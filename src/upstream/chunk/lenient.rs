//! What servers send in place of the objects and lists they should: it counts as nothing.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A JSON value of which only objects are of interest, and lists of them.
pub enum Lenient<T> {
    /// In a box: an object is handed from one to the next several times before it is read.
    Object(Box<T>),
    List(Vec<Self>),
    Other,
}

impl<T> Lenient<T> {
    pub fn into_object(self) -> Option<Box<T>> {
        match self {
            Self::Object(object) => Some(object),
            Self::List(_) | Self::Other => None,
        }
    }

    fn into_objects(self) -> Vec<T> {
        match self {
            Self::List(list) => list.into_iter().filter_map(Self::into_object).map(|object| *object).collect(),
            Self::Object(_) | Self::Other => Vec::new(),
        }
    }
}

/// Reads a field that should be an object.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Box<T>>, D::Error> {
    Lenient::deserialize(deserializer).map(Lenient::into_object)
}

/// Reads a field that should be a list of objects.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Lenient::deserialize(deserializer).map(Lenient::into_objects)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor(PhantomData))
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for LenientVisitor<T> {
    type Value = Lenient<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lenient<T>, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|object| Lenient::Object(Box::new(object)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Lenient<T>, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Lenient::List)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Lenient<T>, E> {
        Ok(Lenient::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Lenient<T>, E> {
        Ok(Lenient::Other)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Lenient<T>, E> {
        Ok(Lenient::Other)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Lenient<T>, E> {
        Ok(Lenient::Other)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Lenient<T>, E> {
        Ok(Lenient::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Lenient<T>, E> {
        Ok(Lenient::Other)
    }
}
