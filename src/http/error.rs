//! Errors as answers: OpenAI's shape on every path.

use crate::dialect::error::{self, ApiError, excerpt};
use crate::runs::admission::Refusal;
use crate::runs::registry::StartError;
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::any::Any;

pub const SHOULD_RETRY: HeaderName = HeaderName::from_static(error::SHOULD_RETRY);

/// An `ApiError` on its way out.
#[derive(Debug)]
pub struct Rejection(pub ApiError);

impl From<ApiError> for Rejection {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(error.body())).into_response();
        let headers = response.headers_mut();
        for (name, value) in error.headers() {
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (HeaderName::from_static(name), value)));
        }
        if error.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if error.status == 426 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

impl From<StartError> for Rejection {
    fn from(error: StartError) -> Self {
        Self(match error {
            StartError::Refused(refusal) => full(refusal),
            StartError::Draining => {
                let message = "The server is shutting down and takes no new requests.";
                ApiError::new(503, "server_error", Some("shutting_down"), message).with_retry_after(5)
            }
            StartError::Failed(failure) => ApiError::from(&failure),
        })
    }
}

fn full(refusal: Refusal) -> ApiError {
    let message = match refusal {
        Refusal::ServerFull { max } => {
            format!("The server runs {max} requests already, as many as it may. Try again later.")
        }
        Refusal::PrincipalFull { max } => {
            format!("This key has {max} requests running already, as many as it may. Try again when one has ended.")
        }
    };
    ApiError::new(429, "rate_limit_error", Some("rate_limit_exceeded"), message).with_retry_after(1)
}

pub async fn no_route(request: Request) -> Rejection {
    let message = format!(
        "Unknown request URL: {} {}. The API is under /v1, e.g. POST /v1/chat/completions.",
        excerpt(request.method().as_str()),
        excerpt(request.uri().path())
    );
    Rejection(ApiError::new(404, "invalid_request_error", Some("unknown_url"), message))
}

pub async fn wrong_method(request: Request) -> Rejection {
    let (method, path) = (excerpt(request.method().as_str()), excerpt(request.uri().path()));
    let message = format!("{method} is not allowed on {path}; see the Allow header.");
    Rejection(ApiError::new(405, "invalid_request_error", Some("method_not_allowed"), message))
}

/// For a panic in a handler. What it said is in the log alone.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = text, "a handler panicked");
    Rejection(ApiError::new(500, "server_error", Some("internal_error"), "The server made a mistake.")).into_response()
}
