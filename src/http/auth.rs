//! Who asks: bearer keys and the principals behind them.

use super::error::Rejection;
use super::state::Gateway;
use crate::dialect::error::ApiError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The keys that open the door. Without one the door is open, which the configuration allows on loopback alone.
#[derive(Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
pub struct Key {
    /// Names the principal, so that a key can be changed and its data stays.
    pub name: Arc<str>,
    /// SHA-256 of the key; its text is kept nowhere.
    pub hash: [u8; 32],
    pub max_runs: Option<usize>,
    /// See [`Principal::trusted_frontend`].
    pub trusted_frontend: bool,
}

/// Whoever holds a key. All that is stored belongs to a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub name: Arc<str>,
    pub max_runs: Option<usize>,
    /// A frontend with many users, whose word counts for which of them a request is from.
    pub trusted_frontend: bool,
}

impl Keys {
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// No key is configured.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    fn principal(&self, headers: &HeaderMap) -> Result<Principal, ApiError> {
        if self.is_open() {
            return Ok(Principal { name: "local".into(), max_runs: None, trusted_frontend: false });
        }
        let Some(token) = bearer(headers) else {
            let message = "You didn't provide an API key: send it as `Authorization: Bearer KEY`.";
            return Err(ApiError::new(401, "invalid_request_error", Some("missing_api_key"), message));
        };
        let hash: [u8; 32] = Sha256::digest(token).into();
        // Every key is compared, so that the time tells nothing about which one came near.
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&hash)) {
                let Key { name, max_runs, trusted_frontend, .. } = key.clone();
                found = Some(Principal { name, max_runs, trusted_frontend });
            }
        }
        found.ok_or_else(|| {
            let message = "Incorrect API key provided. The keys are in the server's configuration under `auth.keys`.";
            ApiError::new(401, "invalid_request_error", Some("invalid_api_key"), message)
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token.trim_ascii())
}

/// Lets a request through with its [`Principal`] as an extension, or answers 401.
pub async fn require_key(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    match gateway.keys.principal(request.headers()) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(error) => Rejection(error).into_response(),
    }
}
