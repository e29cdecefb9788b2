//! Browsers at the door: CORS, and the two checks that keep a web page from driving a daemon that has no key.

use super::error::Rejection;
use super::state::Gateway;
use crate::dialect::error::ApiError;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// CORS headers for the listed origins. Request headers are mirrored: once an origin is trusted with a key, listing
/// what its SDK may send protects nothing.
pub fn cors(origins: &[String]) -> CorsLayer {
    let listed = origins.to_vec();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| is_listed(&listed, origin)))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER, super::request_id::X_REQUEST_ID, super::error::SHOULD_RETRY])
        .max_age(Duration::from_secs(600))
        // `http.rs` sets it on every answer.
        .vary([])
}

fn is_listed(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}

/// Without a key, a request must come from no page but a listed one (403) and ask for a host that is ours (421): a
/// page can make a browser send requests to 127.0.0.1, by DNS rebinding even with its own name as the host.
pub async fn keep_browsers_out(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let listed = origins.all(|origin| is_listed(&gateway.settings.cors_origins, origin));
    if gateway.keys.is_open() {
        if !listed {
            let message = "This origin is not allowed: list it in `server.cors_origins`, or configure a key.";
            return Rejection(ApiError::new(403, "invalid_request_error", Some("origin_not_allowed"), message))
                .into_response();
        }
        // An image or a script of a page comes without an origin, but modern browsers say where it comes from.
        let site = request.headers().get("sec-fetch-site");
        if site.is_some_and(|site| site == "cross-site") && request.headers().get(header::ORIGIN).is_none() {
            let message = "A page of another site may not ask this server: list its origin in `server.cors_origins`.";
            return Rejection(ApiError::new(403, "invalid_request_error", Some("origin_not_allowed"), message))
                .into_response();
        }
        if !asks_for_us(&gateway, &request) {
            let message =
                "This host is not ours: ask for the address we listen on, or list the name in `server.allowed_hosts`.";
            return Rejection(ApiError::new(421, "invalid_request_error", Some("host_not_allowed"), message))
                .into_response();
        }
    }
    let mut response = next.run(request).await;
    if !listed {
        let headers = response.headers_mut();
        let cors: Vec<_> =
            headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
        for name in cors {
            headers.remove(name);
        }
    }
    response
}

fn asks_for_us(gateway: &Gateway, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let Some(authority) = request.uri().authority().cloned().or(named) else { return false };
    let host = authority.host();
    let settings = &gateway.settings;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let listed = |name: &String| name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(authority.as_str());
    let ours = is_loopback
        || bare.eq_ignore_ascii_case("localhost")
        || bare.eq_ignore_ascii_case(&settings.host)
        || settings.allowed_hosts.iter().any(listed);
    // Of two names, nobody knows which one was meant.
    ours && hosts.next().is_none()
}
