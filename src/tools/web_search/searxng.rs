//! SearXNG, whose `formats` setting must have `json`.

use super::{Hit, listed};
use crate::web::service::Question;
use secrecy::SecretString;
use serde_json::Value;

/// Some put their instance behind a proxy that wants a bearer token; by itself it takes none.
pub fn question<'q>(query: &str, key: Option<&'q SecretString>) -> Question<'q> {
    Question {
        path: "search",
        query: vec![("q", query.to_owned()), ("format", "json".to_owned())],
        key: key.map(|key| ("authorization", "Bearer ", key)),
        body: None,
    }
}

pub fn hits(answer: &Value) -> Option<Vec<Hit>> {
    listed(answer.get("results")?, "content")
}
