//! The HTTP edge. Every route is on this screen.

pub mod auth;
mod body;
mod capabilities;
mod chat;
mod clients;
mod clock;
mod context;
mod conversations;
pub mod error;
mod guard;
mod headers;
mod health;
mod linger;
mod models;
mod repeat;
mod request_id;
mod responses;
mod runs;
pub mod serve;
mod socket;
mod state;
mod stream;
mod user;
mod websocket;

pub use responses::{CommandsGone, carry_on};
pub use state::{Gateway, HttpSettings, Probe};

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// The whole service. The first of the layers sees a request first.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let open = Router::new().route("/health", get(health::plain)).route("/v1/health", get(health::plain));
    let keyed = Router::new()
        .route("/v1/capabilities", get(capabilities::get))
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/responses", get(responses::open).post(responses::create))
        .route("/v1/responses/compact", post(context::compact))
        .route("/v1/responses/input_tokens", post(context::input_tokens))
        .route("/v1/responses/{id}", get(responses::get).delete(responses::delete))
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/v1/responses/{id}/input_items", get(responses::input_items))
        .route("/v1/conversations", get(conversations::list).post(conversations::create))
        .route(
            "/v1/conversations/{id}",
            get(conversations::get).post(conversations::update).delete(conversations::delete),
        )
        .route("/v1/conversations/{id}/items", get(conversations::list_items).post(conversations::add_items))
        .route("/v1/conversations/{id}/items/{item}", get(conversations::get_item).delete(conversations::remove_item))
        .route("/v1/runs", get(runs::list).post(runs::create))
        .route("/v1/runs/{id}", get(runs::get))
        .route("/v1/runs/{id}/events", get(runs::events))
        .route("/v1/runs/{id}/stop", post(runs::stop))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::get))
        .route("/health/detailed", get(health::detailed))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&gateway), auth::require_key));
    open.method_not_allowed_fallback(error::wrong_method)
        .merge(keyed)
        // In one piece: each piece costs every request some allocations.
        .layer((
            from_fn(request_id::tag),
            fixed_header(header::REFERRER_POLICY, "no-referrer"),
            fixed_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // Also on what is refused before CORS is looked at: a cache must not give one page's refusal to another.
            fixed_header(header::VARY, "origin"),
            from_fn_with_state(Arc::clone(&gateway), linger::read_the_rest),
            CatchPanicLayer::custom(error::panicked),
            from_fn_with_state(Arc::clone(&gateway), guard::keep_browsers_out),
            guard::cors(&gateway.settings.cors_origins),
        ))
        .with_state(gateway)
}

fn fixed_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}
