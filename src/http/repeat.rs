//! Requests that are the same as an earlier one: by the client's key, or by its word that it tries again.

use super::auth::Principal;
use super::clock::now_in_millis;
use super::error::store_unavailable;
use super::state::Gateway;
use crate::core::id::RunId;
use crate::core::ports::journals::{IdempotencyKey, KeyedRun};
use crate::core::ports::store::StoredResponse;
use crate::core::run::OnDisconnect;
use crate::dialect::error::ApiError;
use crate::runs::{Listener, LiveRun};
use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "idempotency-key";

/// SDKs count their tries here, from 0.
const RETRY: &str = "x-stainless-retry-count";

/// How long a key is known.
const KEY_TIME: Duration = Duration::from_secs(24 * 3600);

/// A client with a key comes back, so its run waits for it.
const GRACE: OnDisconnect = OnDisconnect::Grace(Duration::from_secs(10));

/// What a request says of others that are the same.
#[derive(Clone, Debug)]
pub struct Repeat {
    pub key: Option<String>,
    pub is_retry: bool,
    /// Of the route, the person and the body.
    pub hash: [u8; 32],
}

/// A run that was there before, as far as there is something of it.
pub enum Earlier {
    Live(Arc<LiveRun>),
    Stored(Arc<StoredResponse>),
}

impl Repeat {
    /// `route` is what the body is sent to, and `user` is the person that the headers name: what is known of one must not
    /// be told to another who asks the same.
    pub fn of(headers: &HeaderMap, route: &str, user: Option<&str>, body: &Value) -> Result<Self, ApiError> {
        let key = headers.get(KEY).map(|value| match value.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) => Ok(key.to_owned()),
            _ => {
                let message = "The header `Idempotency-Key` must be 1 to 255 visible ASCII characters.";
                Err(ApiError::invalid("Idempotency-Key", message))
            }
        });
        let tries = headers.get(RETRY).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        let body = serde_json::to_vec(body).unwrap_or_default();
        let hash = Sha256::new().chain_update(route).chain_update([0]).chain_update(&body);
        // JSON ends where it ends, so nothing in a body can look like this.
        let hash = user.map_or(hash.clone(), |user| hash.chain_update([0]).chain_update(user));
        Ok(Self { key: key.transpose()?, is_retry: tries.is_some_and(|tries| tries > 0), hash: hash.finalize().into() })
    }

    /// What becomes of the run when its client leaves, unless the request or the profile says it.
    pub fn on_disconnect(&self, asked: Option<OnDisconnect>) -> Option<OnDisconnect> {
        asked.or(self.key.as_ref().map(|_| GRACE))
    }

    pub fn idempotency_key(&self) -> Option<IdempotencyKey> {
        let now = now_in_millis();
        let until = now.saturating_add(u64::try_from(KEY_TIME.as_millis()).unwrap_or(u64::MAX));
        self.key.clone().map(|key| IdempotencyKey { key, body: self.hash, now, until })
    }

    /// The run that this request repeats; `None` if it is the first of its kind.
    pub async fn earlier(
        &self,
        gateway: &Gateway,
        principal: &Principal,
    ) -> Result<Option<(RunId, Earlier)>, ApiError> {
        let Some(key) = &self.key else {
            // Only a run that would go on without its client can be meant: another one is being cancelled.
            let same = self.is_retry.then(|| gateway.runs.find_same(&principal.name, &self.hash)).flatten();
            return Ok(same.map(|live| (live.run, Earlier::Live(live))));
        };
        if let Some((keyed, live)) = gateway.runs.keyed(&principal.name, key) {
            self.check(&keyed)?;
            return Ok(Some((keyed.run, Earlier::Live(live))));
        }
        let stored = gateway.store.keyed(&principal.name, key, now_in_millis()).await;
        match stored.map_err(|error| store_unavailable(&error))? {
            Some(keyed) => self.found(gateway, principal, &keyed).await.map(Some),
            None => Ok(None),
        }
    }

    /// The run that a key stands for.
    pub async fn found(
        &self,
        gateway: &Gateway,
        principal: &Principal,
        keyed: &KeyedRun,
    ) -> Result<(RunId, Earlier), ApiError> {
        self.check(keyed)?;
        // In this order: a run is stored before it is gone from here.
        if let Some(live) = gateway.runs.find(&principal.name, keyed.run) {
            return Ok((keyed.run, Earlier::Live(live)));
        }
        let stored = gateway.store.response(&principal.name, &keyed.id).await;
        match stored.map_err(|error| store_unavailable(&error))? {
            Some(stored) => Ok((keyed.run, Earlier::Stored(stored))),
            None => {
                let message = "The answer to the request with this `Idempotency-Key` was deleted or is too old. It is not made again under the same key.";
                Err(ApiError::new(410, "invalid_request_error", Some("idempotency_reply_gone"), message))
            }
        }
    }

    fn check(&self, keyed: &KeyedRun) -> Result<(), ApiError> {
        if keyed.body == self.hash {
            return Ok(());
        }
        let message = "This `Idempotency-Key` was sent with another request: use a new key for each.";
        let error = ApiError::new(409, "invalid_request_error", Some("idempotency_key_reuse"), message);
        Err(ApiError { no_retry: true, ..error.with_param("Idempotency-Key") })
    }
}

impl Earlier {
    /// Everything that was and will be told of it.
    pub fn listen(&self) -> Listener {
        match self {
            Self::Live(live) => live.log.listen(),
            Self::Stored(stored) => Listener::to_journal(Arc::clone(&stored.journal)),
        }
    }
}
