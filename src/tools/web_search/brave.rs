//! Brave Search.

use super::{Hit, listed};
use crate::web::service::Question;
use secrecy::SecretString;
use serde_json::Value;

pub const BASE_URL: &str = "https://api.search.brave.com";

/// The most it takes for a count.
const MAX_COUNT: usize = 20;

pub fn question<'q>(query: &str, count: usize, key: Option<&'q SecretString>) -> Question<'q> {
    Question {
        path: "res/v1/web/search",
        query: vec![("q", query.to_owned()), ("count", count.min(MAX_COUNT).to_string())],
        key: key.map(|key| ("x-subscription-token", "", key)),
        body: None,
    }
}

/// Where nothing was found it leaves out the list.
pub fn hits(answer: &Value) -> Option<Vec<Hit>> {
    match answer.as_object()?.get("web").and_then(|web| web.get("results")) {
        Some(list) => listed(list, "description"),
        None => Some(Vec::new()),
    }
}
