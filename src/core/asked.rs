//! Servers of tools that a request names, for its own run.

use std::fmt;

/// A server that the client wants the model to have the tools of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedServer {
    /// The client's name for it.
    pub label: String,
    pub url: String,
    /// A bearer token.
    pub authorization: Option<Withheld>,
    pub headers: Vec<(String, Withheld)>,
    /// The only tools that are wanted; `None` wants all.
    pub allowed: Option<Vec<String>>,
    /// The field of the request that names it, such as `tools[0]`.
    pub field: String,
}

/// A secret of the client's: for the server it is meant for, and neither for a log nor for the store.
#[derive(Clone, PartialEq, Eq)]
pub struct Withheld(pub String);

impl fmt::Debug for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[withheld]")
    }
}
