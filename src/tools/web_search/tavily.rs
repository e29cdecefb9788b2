//! Tavily.

use super::{Hit, listed};
use crate::web::service::Question;
use secrecy::SecretString;
use serde_json::{Value, json};

pub const BASE_URL: &str = "https://api.tavily.com";

/// The most it takes for a count.
const MAX_COUNT: usize = 20;

pub fn question<'q>(query: &str, count: usize, key: Option<&'q SecretString>) -> Question<'q> {
    Question {
        path: "search",
        query: Vec::new(),
        key: key.map(|key| ("authorization", "Bearer ", key)),
        body: Some(json!({"query": query, "max_results": count.min(MAX_COUNT)})),
    }
}

pub fn hits(answer: &Value) -> Option<Vec<Hit>> {
    listed(answer.get("results")?, "content")
}
