//! One server behind HTTP: its client, its address, its headers, made once; and the opening of a call.

use super::failure;
use super::patience::{Overdue, Patience};
use super::pieces::Pieces;
use super::secrets::Secrets;
use super::settings::{MaxTokensField, UpstreamSettings};
use crate::core::failure::{Failure, FailureKind};
use crate::core::format::FormatSupport;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Client, Response, StatusCode, Url, redirect};
use secrecy::ExposeSecret;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How much of a refusal is read: an error text, not a web site.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// How long a refusal may take to come in, once its status is known.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// What one run may have under way over HTTP/2; times 256 it is what servers usually allow at once.
const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;

/// A server as all its models share it.
pub struct Server {
    pub name: Arc<str>,
    idle_timeout: Duration,
    first_byte_timeout: Duration,
    base_url: Url,
    completions: Url,
    headers: HeaderMap,
    client: Client,
    limit_field: &'static str,
    format_support: FormatSupport,
    secrets: Secrets,
}

/// An upstream that cannot be set up; the text names the key of the configuration and what it needs.
#[derive(Debug, thiserror::Error)]
#[error("upstreams.{upstream}.{key}: {problem}")]
pub struct SetupError {
    upstream: String,
    key: &'static str,
    problem: String,
}

impl Server {
    pub fn new(settings: &UpstreamSettings) -> Result<Self, SetupError> {
        let error = |key, problem: String| SetupError { upstream: settings.name.clone(), key, problem };
        let base_url = base_url(&settings.base_url).map_err(|problem| error("base_url", problem))?;
        let client = client(settings.connect_timeout, &base_url)
            .map_err(|cause| error("base_url", format!("no HTTPS client can be made: {}", root_cause(&cause))))?;
        let is_openai = base_url.host_str() == Some("api.openai.com");
        let limit_field = match settings.max_tokens_field {
            MaxTokensField::Auto if is_openai => "max_completion_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
            MaxTokensField::Auto | MaxTokensField::MaxTokens => "max_tokens",
        };
        let known = if is_openai { FormatSupport::Strict } else { FormatSupport::Passed };
        Ok(Self {
            name: settings.name.as_str().into(),
            idle_timeout: settings.idle_timeout,
            first_byte_timeout: settings.first_byte_timeout,
            completions: under(&base_url, &["chat", "completions"]),
            base_url,
            headers: headers(settings).map_err(|(key, problem)| error(key, problem))?,
            client,
            limit_field,
            format_support: settings.format_support.unwrap_or(known),
            secrets: Secrets::of(settings),
        })
    }

    /// Where it is; holds no credentials.
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The name for a limit on output tokens where the client used none.
    pub(super) fn limit_field(&self) -> &'static str {
        self.limit_field
    }

    /// What it does about the form of an answer.
    pub(super) fn format_support(&self) -> FormatSupport {
        self.format_support
    }

    /// Sends a request for a completion. Gives the accepted answer, and how long to wait for more of it.
    pub(super) async fn open(&self, body: Pieces) -> Result<(Response, Patience), Failure> {
        let start = Instant::now();
        let request = self.client.post(self.completions.clone()).headers(self.headers.clone()).body(Body::wrap(body));
        let response = match timeout(self.first_byte_timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Err(_) => return Err(self.silent(self.first_byte_timeout)),
        };
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok((response, Patience::new(self.first_byte_timeout, start.elapsed(), self.idle_timeout)))
    }

    /// A failure in this server's name.
    pub(super) fn failure(&self, kind: FailureKind, what: impl std::fmt::Display) -> Failure {
        Failure::new(kind, format!("upstream `{}` {what}", self.name))
    }

    /// The failure of a server that sent nothing for so long.
    pub(super) fn silent(&self, time: Duration) -> Failure {
        self.failure(FailureKind::UpstreamTimeout, Overdue::Silent(time))
    }

    /// The failure that an error object in an accepted answer stands for.
    pub(super) fn gave_up(&self, error: &serde_json::Value) -> Failure {
        failure::of_object(&self.name, error, &self.secrets)
    }

    /// The failure that an answer other than 2xx stands for. `body` may be cut short.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        failure::of_status(&self.name, status, headers, body, &self.secrets)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let (kind, what) = match (error.is_connect(), error.is_timeout()) {
            (true, true) => (FailureKind::UpstreamTimeout, "took too long to connect"),
            (true, false) => (FailureKind::UpstreamUnavailable, "cannot be reached"),
            (false, _) => (FailureKind::UpstreamUnavailable, "closed the connection without an answer"),
        };
        // The cause alone: reqwest's own text names the whole URL.
        self.failure(kind, format_args!("{what}: {}", root_cause(error)))
    }

    async fn refusal(&self, mut response: Response) -> Failure {
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                let room = MAX_REFUSAL_BYTES - body.len();
                body.extend(chunk.iter().take(room));
                if chunk.len() >= room {
                    break;
                }
            }
        };
        // What has come by then will have to do.
        timeout(REFUSAL_TIME, read).await.ok();
        self.refused(response.status(), response.headers(), &body)
    }
}

/// A client for one server. Its pool is what makes a call cheap, so it lives as long as the server does.
pub fn client(connect_timeout: Duration, base_url: &Url) -> reqwest::Result<Client> {
    // An error means that a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut client = Client::builder()
        .user_agent(concat!("nuncio/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(60))
        // Over HTTP/2 runs share a connection. Small windows for each and a large one for all keep a run whose client
        // reads slowly from stalling the others; pings find a connection that died in silence.
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_STREAM_WINDOW * 256)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        // A redirect would carry prompts, and perhaps the key, to where nobody meant them to go.
        .redirect(redirect::Policy::none());
    if is_loopback(base_url) {
        client = client.no_proxy();
    }
    if base_url.scheme() == "http" {
        // Spares a plain server the loading of the system's certificates, which fails where there are none.
        client = client.tls_certs_only([]);
    }
    client.build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("{error}; expected a URL like https://host/v1"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected http:// or https://, found {}:", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials, which would show in logs; set api_key or headers instead".to_owned());
    }
    if url.query().is_some() {
        return Err("holds a query string, which would show in logs; set api_key or headers instead".to_owned());
    }
    Ok(url)
}

/// The URL with some segments added to its path.
pub(super) fn under(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn headers(settings: &UpstreamSettings) -> Result<HeaderMap, (&'static str, String)> {
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("text/event-stream")),
    ]);
    if let Some(key) = &settings.api_key {
        let value = secret(&format!("Bearer {}", key.expose_secret()));
        headers.insert(AUTHORIZATION, value.ok_or(("api_key", "holds characters that no header can".to_owned()))?);
    }
    for (name, value) in &settings.headers {
        let problem = |what: &str| ("headers", format!("{name:?} {what}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| problem("is no header name"))?;
        let value = secret(value.expose_secret()).ok_or_else(|| problem("holds characters that no header can"))?;
        headers.insert(key, value);
    }
    Ok(headers)
}

/// A header value that no log shows.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The innermost cause: the part of an error that says what happened, without the addresses around it.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
