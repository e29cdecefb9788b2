//! The person a request is for, as its body says.

use serde_json::{Map, Value};

/// In this order: OpenAI has replaced the second by the first, and clients that know both send their real word in that.
const FIELDS: &[&str] = &["safety_identifier", "user"];

/// The person that a body names; an empty text names nobody. `params` goes to the model with all of it.
pub fn named(params: &Map<String, Value>) -> Option<&str> {
    FIELDS.iter().find_map(|field| params.get(*field)?.as_str().filter(|user| !user.is_empty()))
}
