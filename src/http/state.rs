//! What every handler shares.

use super::auth::Keys;
use crate::core::ports::store::Store;
use crate::dialect::error::{ApiError, excerpt};
use crate::runs::{Profile, Profiles, Runs};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Gateway {
    pub runs: Arc<Runs>,
    pub store: Arc<dyn Store>,
    pub profiles: Profiles,
    /// The profile that answers for an unknown model id, where the configuration wants that instead of a 404.
    pub stand_in: Option<String>,
    pub keys: Keys,
    pub settings: HttpSettings,
    /// What `/health/detailed` says of the edges behind the runs. `app.rs` joins it, as only it knows them.
    pub probe: Probe,
    pub started: Instant,
    /// Unix time of the start, which is also when the models "were made".
    pub started_at: u64,
}

pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Value> + Send + Sync>;

pub struct HttpSettings {
    /// The host that the listener is bound to, as configured: it may be asked for by that name.
    pub host: String,
    pub allowed_hosts: Vec<String>,
    pub cors_origins: Vec<String>,
    /// Bytes of a request body.
    pub body_limit: usize,
    /// A stream's headers leave after this, even if the upstream has not answered.
    pub header_wait: Duration,
    /// Silence on a stream after which a comment is sent, or a ping.
    pub keepalive: Duration,
    /// How long a WebSocket may be open.
    pub websocket_time: Duration,
}

impl Gateway {
    /// The profile behind a model id.
    pub fn profile(&self, model: &str) -> Result<Arc<Profile>, ApiError> {
        let stand_in = || self.profiles.get(self.stand_in.as_ref()?);
        self.profiles.get(model).or_else(stand_in).cloned().ok_or_else(|| {
            let known: Vec<String> = self.profiles.keys().map(|id| format!("`{id}`")).collect();
            let message = format!("The model `{}` does not exist. There is: {}.", excerpt(model), known.join(", "));
            ApiError::new(404, "invalid_request_error", Some("model_not_found"), message).with_param("model")
        })
    }
}
