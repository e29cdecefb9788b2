//! The person a request is for, as its body says.

use super::error::ApiError;
use serde_json::{Map, Value};

/// In this order: OpenAI has replaced the second by the first, and clients that know both send their real word in that.
const FIELDS: &[&str] = &["safety_identifier", "user"];

/// More than any client sends; it is kept with the run.
const MAX_BYTES: usize = 512;

/// The person that a body names; an empty text names nobody. `params` goes to the model with all of it.
pub fn named(params: &Map<String, Value>) -> Option<&str> {
    FIELDS.iter().find_map(|field| params.get(*field)?.as_str().filter(|user| !user.is_empty()))
}

/// Refuses what cannot be a name.
pub fn check(params: &Map<String, Value>) -> Result<(), ApiError> {
    for field in FIELDS {
        let Some(user) = params.get(*field).and_then(Value::as_str) else { continue };
        if user.len() > MAX_BYTES {
            return Err(ApiError::invalid(*field, format!("`{field}` may have at most {MAX_BYTES} bytes.")));
        }
        if user.contains('\0') {
            return Err(ApiError::invalid(*field, format!("`{field}` must not hold a NUL character.")));
        }
    }
    Ok(())
}
