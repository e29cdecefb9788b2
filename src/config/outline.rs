//! Which key stands on which line of the file: serde's errors know a place but no key, ours a key but no place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::value;

/// Deeper nesting than any setting has; bounds the recursion here and in serde.
pub(super) const MAX_DEPTH: usize = 64;

/// Every key, value and list item of a YAML document with its place, in the order of the file. A key and its value
/// share a path, the key first.
#[derive(Debug, Default)]
pub(super) struct Outline {
    marks: Vec<Mark>,
}

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

impl Outline {
    /// Fails only where the text is no YAML at all; wrong types and keys are for the typed reading to find.
    pub fn read(text: &str) -> Result<Self, serde_saphyr::Error> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
            duplicate_keys: DuplicateKeyPolicy::LastWins,
            non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
            with_snippet: false,
        };
        let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options)?;
        let mut outline = Self::default();
        outline.add(String::new(), root);
        Ok(outline)
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

    fn add(&mut self, path: String, node: Spanned<Node>) {
        self.mark(path.clone(), &node.referenced);
        match node.value {
            Node::Scalar => {}
            Node::List(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.add(format!("{path}[{index}]"), item);
                }
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    let path = value::join(&path, &key.value);
                    self.mark(path.clone(), &key.referenced);
                    self.add(path, value);
                }
            }
        }
    }

    fn mark(&mut self, path: String, place: &Location) {
        self.marks.push(Mark { path, line: place.line(), column: place.column() });
    }
}

/// A YAML value with all but its shape and places forgotten, so that no secret lingers here.
#[derive(Debug)]
enum Node {
    Scalar,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
