//! What a schema comes to when its references are followed: a small text can stand for a great deal of work.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::HashMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Objects, each counted as often as a reference leads to it.
    pub parts: u64,
    /// References to something that they are part of.
    pub circles: u64,
    /// Regular expressions, each counted once or twice.
    pub patterns: usize,
    /// A reference of a kind that was not followed, so that the rest says too little.
    pub stray: Option<String>,
}

/// No schema that people or their libraries write is this deep, references followed.
const MAX_DEPTH: usize = 500;

impl Extent {
    pub fn of(schema: &Value) -> Self {
        let mut walk = Walk { root: schema, known: HashMap::new(), depth: 0, extent: Self::default() };
        let parts = walk.weigh(schema);
        Self { parts, ..walk.extent }
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// What references lead to, by address, with its parts; `None` while they are counted.
    known: HashMap<*const Value, Option<u64>>,
    depth: usize,
    /// All but the parts.
    extent: Extent,
}

impl<'a> Walk<'a> {
    fn weigh(&mut self, value: &'a Value) -> u64 {
        if self.depth >= MAX_DEPTH {
            return u64::MAX;
        }
        self.depth += 1;
        let sum = |sum: u64, parts| sum.saturating_add(parts);
        let parts = match value {
            Value::Array(items) => items.iter().map(|item| self.weigh(item)).fold(0, sum),
            Value::Object(members) => {
                self.note(members, !std::ptr::eq(value, self.root));
                members.iter().map(|(key, value)| self.weigh_member(key, value)).fold(1, sum)
            }
            _ => 0,
        };
        self.depth -= 1;
        parts
    }

    fn weigh_member(&mut self, key: &str, value: &'a Value) -> u64 {
        match (key, value) {
            ("$ref", Value::String(reference)) => self.follow(reference),
            _ => self.weigh(value),
        }
    }

    /// What counts of an object besides its parts. Data that looks like a keyword is taken for one, which does no harm.
    fn note(&mut self, members: &Map<String, Value>, within: bool) {
        let text = |key: &str| members.get(key).and_then(Value::as_str);
        let patterns = members.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        self.extent.patterns += patterns + usize::from(text("pattern").is_some());
        // References of what has an `$id` count from there, unless it is a mere name.
        let base = text("$id").filter(|id| within && !id.starts_with('#'));
        let stray = base.or_else(|| text("$dynamicRef")).or_else(|| text("$recursiveRef"));
        if let Some(stray) = stray {
            self.extent.stray.get_or_insert_with(|| stray.to_owned());
        }
    }

    fn follow(&mut self, reference: &str) -> u64 {
        let pointer = reference.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let Some(pointer) = pointer else {
            self.extent.stray.get_or_insert_with(|| reference.to_owned());
            return 1;
        };
        // One that leads nowhere is for the compiler to tell.
        let Some(target) = self.root.pointer(&percent_decode_str(pointer).decode_utf8_lossy()) else { return 1 };
        match self.known.get(&std::ptr::from_ref(target)) {
            Some(Some(parts)) => *parts,
            Some(None) => {
                self.extent.circles += 1;
                1
            }
            None => {
                self.known.insert(target, None);
                let parts = self.weigh(target);
                self.known.insert(target, Some(parts));
                parts
            }
        }
    }
}
