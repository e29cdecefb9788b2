//! The session a request belongs to, as its headers tell.

use crate::dialect::error::ApiError;
use crate::runs::session::SessionKey;
use axum::http::HeaderMap;

/// In this order: our own, Hermes', Open WebUI's, Codex', opencode's.
const HEADERS: &[&str] =
    &["x-nuncio-session", "x-hermes-session-id", "x-openwebui-chat-id", "session-id", "thread-id", "x-session-id"];

/// The first session header that is there, or the word that the conversation itself must tell.
pub fn key(headers: &HeaderMap) -> Result<SessionKey, ApiError> {
    let sent =
        HEADERS.iter().find_map(|name| Some((*name, headers.get(*name)?)).filter(|(_, value)| !value.is_empty()));
    let Some((name, value)) = sent else { return Ok(SessionKey::ByHistory) };
    match value.to_str() {
        Ok(text) if text.len() <= 256 => Ok(SessionKey::Named(text.to_owned())),
        _ => Err(ApiError::invalid(name, format!("The header `{name}` must be at most 256 visible ASCII characters."))),
    }
}
