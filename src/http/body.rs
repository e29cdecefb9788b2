//! Request bodies: JSON, of a bounded size, in bounded time.

use crate::dialect::error::{ApiError, excerpt};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// How long a client may take to send its body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Values a body may hold. Each takes a hundred bytes and more in memory, however few it has on the wire.
const MAX_VALUES: usize = 500_000;

/// Parsing more than this would hold up the other requests of the thread.
const PARSE_ASIDE: usize = 1 << 20;

/// Reads the body of a POST. `limit` is in bytes.
pub async fn json(request: Request, limit: usize) -> Result<Value, ApiError> {
    let (parts, body) = request.into_parts();
    check_type(&parts.headers)?;
    check_encoding(&parts.headers)?;
    parse(read(&parts.headers, body, limit).await?).await
}

/// Reads JSON that is all there, however it came.
pub async fn parse(bytes: Bytes) -> Result<Value, ApiError> {
    if count_values(&bytes) > MAX_VALUES {
        let message = format!("The body holds more than {MAX_VALUES} values (numbers, strings, objects, …).");
        return Err(ApiError::new(413, "invalid_request_error", Some("body_too_large"), message));
    }
    let parsed = if bytes.len() > PARSE_ASIDE {
        let parsing = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes));
        parsing
            .await
            .map_err(|_| ApiError::new(500, "server_error", Some("internal_error"), "The body was not read."))?
    } else {
        serde_json::from_slice(&bytes)
    };
    parsed.map_err(|error| {
        ApiError::invalid("", format!("The body is not valid JSON: {error}{}.", hint(&error))).with_code("invalid_json")
    })
}

/// What the parser's words mean for one who has written no parser.
fn hint(error: &serde_json::Error) -> &'static str {
    let said = error.to_string();
    let hints = [
        ("EOF while parsing a value at line 1 column 0", " (it is empty)"),
        ("expected value at line 1 column 1", " (an object begins with `{`, with no byte order mark before it)"),
        ("recursion limit", " (it may be nested at most 127 deep)"),
        ("hex escape", " (`\\ud800` to `\\udfff` are halves of a pair and must stand in one)"),
        ("surrogate", " (`\\ud800` to `\\udfff` are halves of a pair and must stand in one)"),
        ("control character", " (such characters are written as `\\n`, `\\t` or `\\u0000`)"),
        ("unicode code point", " (it must be UTF-8)"),
    ];
    hints.iter().find(|(words, _)| said.contains(words)).map_or("", |(_, hint)| hint)
}

fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") else {
        return Ok(());
    };
    let got = excerpt(&String::from_utf8_lossy(encoding.as_bytes()));
    let message = format!("The body must be sent as it is, without the header `Content-Encoding` (got: {got}).");
    Err(ApiError::new(415, "invalid_request_error", Some("unsupported_media_type"), message))
}

/// A page may send any other type to any server without asking it first, so JSON is insisted on.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let got = if value.is_empty() { "none".to_owned() } else { excerpt(value) };
    let message = format!("The body must be JSON: send the header `Content-Type: application/json` (got: {got}).");
    Err(ApiError::new(415, "invalid_request_error", Some("unsupported_media_type"), message))
}

pub fn too_large(limit: usize) -> ApiError {
    let message = format!("The body is larger than the {limit} bytes that `server.body_limit` allows.");
    ApiError::new(413, "invalid_request_error", Some("body_too_large"), message)
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let Ok(read) = timeout(BODY_TIME, to_bytes(body, limit)).await else {
        let message = format!("The body did not arrive within {} s.", BODY_TIME.as_secs());
        return Err(ApiError::new(408, "invalid_request_error", Some("request_timeout"), message));
    };
    read.map_err(|error| {
        let source = std::error::Error::source(&error);
        match source.is_some_and(|source| source.to_string().contains("length limit")) {
            true => too_large(limit),
            false => ApiError::invalid(
                "",
                "The body broke off before its end: send as many bytes as `Content-Length` says, or whole chunks.",
            ),
        }
    })
}

/// How many values a JSON text has at the most: one more than its commas, opened brackets and braces, those in strings
/// left out.
fn count_values(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count = count.saturating_add(1),
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        let cases = [("7", 1), ("[]", 2), ("[1,2]", 3), (r#"{"a,[":"\",[{","b":[{}]}"#, 5)];
        assert_eq!(cases.map(|(json, _)| count_values(json.as_bytes())), cases.map(|(_, count)| count));
    }
}
