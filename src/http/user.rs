//! The person a request is for, as far as it says so. What is kept for a person is found by it.

use super::auth::Principal;
use crate::dialect::error::ApiError;
use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Set by Open WebUI for the account that is signed in; nobody who sits before it can change it.
const OF_FRONTEND: &str = "x-openwebui-user-id";

/// What Hermes keeps long-term memory under.
const OF_CLIENT: &str = "x-hermes-session-key";

/// What people of a frontend are called that vouches for them. Nobody else is called by anything that begins with a NUL.
const VOUCHED: &str = "\0";

/// Bytes of a name, which is held as long as its run goes on.
const MAX_BYTES: usize = 256;

/// The person that the headers name. The header of a trusted frontend comes first: it alone is out of reach for the people
/// whose notes it tells apart, while some frontends let them add fields to the body. Then comes the header that is meant for
/// this, and what the body says (see [`or_body`]) is last.
pub fn of_headers(headers: &HeaderMap, principal: &Principal) -> Result<Option<Arc<str>>, ApiError> {
    if principal.trusted_frontend
        && let Some(user) = read(headers, OF_FRONTEND)?
    {
        return Ok(Some(format!("{VOUCHED}{user}").into()));
    }
    Ok(read(headers, OF_CLIENT)?.map(Into::into))
}

/// What the headers say, or else the body. What the model's server would take is not refused for being no fit name: it is
/// known by its hash.
pub fn or_body(of_headers: Option<Arc<str>>, of_body: Option<&str>) -> Option<Arc<str>> {
    of_headers.or_else(|| {
        let user = of_body?;
        let fits = user.len() <= MAX_BYTES && !user.starts_with('\0');
        Some(if fits { user.into() } else { format!("sha256:{}", hex::encode(Sha256::digest(user))).into() })
    })
}

fn read<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if text.len() <= MAX_BYTES => Ok(Some(text)),
        _ => {
            let message = format!("The header `{name}` must be at most {MAX_BYTES} visible ASCII characters.");
            Err(ApiError::invalid(name, message))
        }
    }
}
