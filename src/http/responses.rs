//! `/v1/responses`.

mod asker;
mod begin;
mod carry_on;
mod create;
mod recent;
mod stored;
mod waiting;
mod websocket;

pub use asker::history;
pub use carry_on::{CommandsGone, carry_on};
pub use create::{Telling, create};
pub use stored::{cancel, delete, get, input_items};
pub use waiting::MAX_WAITING;
pub use websocket::open;

use super::auth::Principal;
use super::error::store_unavailable;
use super::state::Gateway;
use crate::core::ports::store::{StoreError, StoredResponse};
use crate::dialect::error::ApiError;
use std::sync::Arc;

/// What the id of a response begins with.
pub const ID_PREFIX: &str = "resp_";

async fn stored(gateway: &Gateway, principal: &Principal, id: &str) -> Result<Arc<StoredResponse>, ApiError> {
    gateway.store.response(&principal.name, id).await.map_err(broken)?.ok_or_else(unknown)
}

/// Of an id in a path.
fn unknown() -> ApiError {
    let message = "There is no stored response with this id: it was never stored, or deleted, or is too old.";
    ApiError::new(404, "invalid_request_error", Some("response_not_found"), message).with_param("id")
}

pub fn broken(error: StoreError) -> ApiError {
    store_unavailable(&error)
}
