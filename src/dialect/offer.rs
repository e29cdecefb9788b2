//! What both dialects ask of the tools that a client offers.

use super::error::ApiError;
use super::fields::Fields;
use serde_json::Value;

/// More than any model tells apart. Each call of the history is looked up among them, so there must be some end.
const MAX_TOOLS: usize = 1024;

pub(super) fn check_number(tools: &[Value]) -> Result<(), ApiError> {
    if tools.len() > MAX_TOOLS {
        let message = format!("`tools` may hold at most {MAX_TOOLS} tools, not {}.", tools.len());
        return Err(ApiError::invalid("tools", message));
    }
    Ok(())
}

/// The name of a function.
pub(super) fn name(function: &mut Fields) -> Result<String, ApiError> {
    let path = function.path("name");
    let name = function.need_string("name")?;
    let fits = |char: char| char.is_ascii_alphanumeric() || "_-.:/".contains(char);
    if name.len() > 128 || !name.chars().all(fits) {
        let message = format!("`{path}` must be 1 to 128 characters out of a-z, A-Z, 0-9 and _ - . : /");
        return Err(ApiError::invalid(path, message));
    }
    Ok(name)
}
