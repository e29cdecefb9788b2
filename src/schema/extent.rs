//! What a schema comes to when its references are followed: a small text can stand for a great deal of work.

use serde_json::Value;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Objects, each counted as often as a reference leads to it.
    pub parts: u64,
    /// References to something that they are part of.
    pub circles: u64,
    /// Regular expressions, each counted once or twice.
    pub patterns: usize,
}

/// No schema that people or their libraries write is this deep, references followed.
const MAX_DEPTH: usize = 500;

/// Keywords whose values are data.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

impl Extent {
    pub fn of(schema: &Value) -> Self {
        let mut walk = Walk { root: schema, known: HashMap::new(), depth: 0, circles: 0, patterns: 0 };
        let parts = walk.weigh(schema);
        Self { parts, circles: walk.circles, patterns: walk.patterns }
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// What references lead to, by address, with its parts; `None` while they are counted.
    known: HashMap<*const Value, Option<u64>>,
    depth: usize,
    circles: u64,
    patterns: usize,
}

impl<'a> Walk<'a> {
    fn weigh(&mut self, value: &'a Value) -> u64 {
        if self.depth >= MAX_DEPTH {
            return u64::MAX;
        }
        self.depth += 1;
        let parts = match value {
            Value::Array(items) => items.iter().fold(0, |sum: u64, item| sum.saturating_add(self.weigh(item))),
            Value::Object(members) => {
                members.iter().fold(1, |sum: u64, (key, value)| sum.saturating_add(self.weigh_member(key, value)))
            }
            _ => 0,
        };
        self.depth -= 1;
        parts
    }

    fn weigh_member(&mut self, key: &str, value: &'a Value) -> u64 {
        match (key, value) {
            ("$ref", Value::String(reference)) => self.follow(reference),
            ("pattern", Value::String(_)) => {
                self.patterns += 1;
                0
            }
            ("patternProperties", Value::Object(patterns)) => {
                self.patterns += patterns.len();
                self.weigh(value)
            }
            (key, _) if DATA.contains(&key) => 0,
            _ => self.weigh(value),
        }
    }

    /// Other references than those to a place in the schema count as one part. The compiler knows more of them, but
    /// nobody writes those but to be clever.
    fn follow(&mut self, reference: &str) -> u64 {
        let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else { return 1 };
        match self.known.get(&std::ptr::from_ref(target)) {
            Some(Some(parts)) => *parts,
            Some(None) => {
                self.circles += 1;
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
