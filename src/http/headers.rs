//! What a request's headers say of its run.

use crate::core::run::OnDisconnect;
use crate::dialect::error::ApiError;
use crate::runs::session::SessionKey;
use axum::http::HeaderMap;

/// In this order: our own, Hermes', Open WebUI's, Codex', opencode's.
const SESSION: &[&str] =
    &["x-nuncio-session", "x-hermes-session-id", "x-openwebui-chat-id", "session-id", "thread-id", "x-session-id"];

const ON_DISCONNECT: &str = "x-nuncio-on-disconnect";
const LAST_EVENT_ID: &str = "last-event-id";

/// The first session header that is there, or the word that the conversation itself must tell.
pub fn session(headers: &HeaderMap) -> Result<SessionKey, ApiError> {
    let sent =
        SESSION.iter().find_map(|name| Some((*name, headers.get(*name)?)).filter(|(_, value)| !value.is_empty()));
    let Some((name, value)) = sent else { return Ok(SessionKey::ByHistory) };
    match value.to_str() {
        Ok(text) if text.len() <= 256 => Ok(SessionKey::Named(text.to_owned())),
        _ => Err(ApiError::invalid(name, format!("The header `{name}` must be at most 256 visible ASCII characters."))),
    }
}

/// What shall become of the run when the client leaves; `None` leaves it to the profile.
pub fn on_disconnect(headers: &HeaderMap) -> Result<Option<OnDisconnect>, ApiError> {
    let Some(value) = headers.get(ON_DISCONNECT) else { return Ok(None) };
    let policy = value.to_str().ok().and_then(|text| text.parse().ok());
    let refused = || {
        let name = "X-Nuncio-On-Disconnect";
        ApiError::invalid(name, format!("The header `{name}` must be {}.", OnDisconnect::FORMS))
    };
    policy.map(Some).ok_or_else(refused)
}

/// The last event that a client of a stream has had, as browsers say it.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let refused = |_| ApiError::invalid("Last-Event-ID", "The header `Last-Event-ID` must be a number.");
    value.to_str().map(Some).map_err(refused)
}
