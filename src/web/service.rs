//! HTTP to a service that the operator named: it is trusted with its key and may be anywhere, but its answers are bounded.

use super::fetch::root_cause;
use reqwest::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Bytes of an answer: a list, not a library.
const MAX_ANSWER: usize = 2 << 20;

pub struct Service {
    base_url: Option<Url>,
    /// Made when it is first needed, as it loads the system's certificates.
    client: OnceLock<Result<Client, String>>,
}

/// A question that is answered in JSON. With a body it is a POST, without one a GET.
#[derive(Debug, Default)]
pub struct Question<'q> {
    /// Added to the path of the base URL.
    pub path: &'static str,
    pub query: Vec<(&'static str, String)>,
    /// A header that holds the key, what its value begins with, and the key.
    pub key: Option<(&'static str, &'static str, &'q SecretString)>,
    pub body: Option<Value>,
}

/// Why there is no answer. It never holds the key, nor the text of an answer, which might repeat it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("answered {status}")]
    Status { status: StatusCode, retry_after: Option<u32> },
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("answered with more than {MAX_ANSWER} bytes")]
    TooLarge,
    #[error("did not answer in JSON")]
    NoJson,
    #[error("was given a key that no header can hold")]
    BadKey,
}

impl Service {
    /// Without an address nothing is reached.
    pub fn new(base_url: Option<Url>) -> Self {
        Self { base_url, client: OnceLock::new() }
    }

    pub async fn ask(&self, question: Question<'_>) -> Result<Value, ServiceError> {
        let unreachable = |error: reqwest::Error| ServiceError::Unreachable(root_cause(&error));
        let mut url = self.base_url.clone().ok_or_else(|| ServiceError::Unreachable("no address".to_owned()))?;
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), question.path));
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&question.query);
        }
        let method = if question.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.client()?.request(method, url).header(ACCEPT, "application/json");
        if let Some((name, start, key)) = question.key {
            let mut value =
                HeaderValue::from_str(&format!("{start}{}", key.expose_secret())).map_err(|_| ServiceError::BadKey)?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(body) = &question.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let seconds = response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
            return Err(ServiceError::Status { status, retry_after: seconds });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(ServiceError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|_| ServiceError::NoJson)
    }

    fn client(&self) -> Result<&Client, ServiceError> {
        let client = self.client.get_or_init(|| {
            super::guard::install_tls();
            let mut client = Client::builder()
                .user_agent(super::guard::USER_AGENT)
                .connect_timeout(CONNECT_TIME)
                // A redirect would carry the key to where nobody meant it to go.
                .redirect(redirect::Policy::none());
            let host = self.base_url.as_ref().and_then(Url::host);
            if self.base_url.as_ref().is_some_and(|url| url.scheme() == "http") {
                client = client.tls_certs_only([]);
            }
            let is_loopback = match host {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            };
            let client = if is_loopback { client.no_proxy() } else { client };
            client.build().map_err(|error| root_cause(&error))
        });
        client.as_ref().map_err(|cause| ServiceError::Unreachable(cause.clone()))
    }
}
