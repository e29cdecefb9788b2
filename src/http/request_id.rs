//! The request id: the client's if it sent a sane one, on every answer and in every log line of the request.

use crate::dialect::error::excerpt;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn tag(request: Request, next: Next) -> Response {
    let id = request.headers().get(X_REQUEST_ID).filter(|id| is_sane(id)).cloned().unwrap_or_else(made);
    let text = id.to_str().unwrap_or_default();
    let (method, path) = (excerpt(request.method().as_str()), excerpt(request.uri().path()));
    let span = tracing::info_span!("request", id = text, method, path);
    async move {
        let begun = Instant::now();
        let mut response = next.run(request).await;
        // For a stream this is the time to its headers.
        tracing::info!(status = response.status().as_u16(), ms = begun.elapsed().as_millis() as u64, "answered");
        response.headers_mut().insert(X_REQUEST_ID, id.clone());
        response
    }
    .instrument(span)
    .await
}

/// Short and plain enough to stand in a log line.
fn is_sane(id: &HeaderValue) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(fits)
}

fn made() -> HeaderValue {
    HeaderValue::from_str(&format!("req_{}", Uuid::now_v7().simple())).unwrap_or(HeaderValue::from_static("req_none"))
}
