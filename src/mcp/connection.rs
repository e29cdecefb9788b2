//! One connection to a server, from the first byte to the last.

use super::client::{Client, Progress};
use super::guard::{Fault, Guarded, MAX_MESSAGE};
use super::pipe::{LastWords, Process, describe, one_line};
use super::settings::{ServerSettings, Transport};
use crate::core::ports::tool::Activity;
use crate::sandbox::Running;
use crate::web::guard::Guard;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse, FusedFuture};
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::RoleClient;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientRequest, PingRequest, RequestId, ServerResult,
};
use rmcp::service::{ClientInitializeError, Peer, PeerRequestOptions, RunningService, ServiceError, ServiceExt};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError};
use rmcp::transport::{DynamicTransportError, StreamableHttpClientTransport};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Given-up calls that may wait to be told to the server. One that finds no room is not told.
const MAX_GIVEN_UP: usize = 64;

/// For the end of a process whose pipe has closed, or the other way round.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Characters of a server's complaint.
const MAX_COMPLAINT: usize = 2000;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallFault {
    /// The server's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the connection broke off: {0}")]
    Gone(String),
    #[error("it answered something else than was asked")]
    Nonsense,
}

/// What calls need of a connection. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    peer: Peer<RoleClient>,
    progress: Progress,
    given_up: mpsc::Sender<RequestId>,
    /// Of the server's address, which errors repeat.
    query: Arc<str>,
    pub capabilities: Capabilities,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Capabilities {
    pub tools: bool,
    pub resources: bool,
    pub prompts: bool,
}

/// What the keeper of a server needs of a connection.
pub struct Link {
    pub connection: Connection,
    pub changed: Arc<Notify>,
    pub given_up: mpsc::Receiver<RequestId>,
    /// Ends it in good order.
    pub stop: CancellationToken,
    /// Resolves when it is over, and says why. Dropping it ends it, the process included.
    pub ended: BoxFuture<'static, String>,
}

/// Tells the keeper of a request that its caller no longer waits for.
struct GivenUp<'a> {
    connection: &'a Connection,
    id: Option<RequestId>,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let _ = self.connection.given_up.try_send(id);
        }
    }
}

impl Connection {
    pub async fn request(&self, request: ClientRequest) -> Result<ServerResult, CallFault> {
        self.request_telling(request, None).await
    }

    /// The same with somebody who is told of its progress. Dropping it cancels the request.
    pub async fn request_telling(
        &self,
        request: ClientRequest,
        activity: Option<Activity>,
    ) -> Result<ServerResult, CallFault> {
        let sent = self.peer.send_request_with_option(request, PeerRequestOptions::no_options()).await;
        let handle = sent.map_err(|error| fault(error, &self.query))?;
        let token = handle.progress_token.clone();
        let _forget = activity.map(|activity| {
            self.progress.follow(token.clone(), activity);
            Forget { progress: &self.progress, token: &token }
        });
        let mut given_up = GivenUp { connection: self, id: Some(handle.id.clone()) };
        let answer = handle.await_response().await;
        given_up.id = None;
        answer.map_err(|error| fault(error, &self.query))
    }

    /// Whether the server answers at all.
    pub async fn is_alive(&self, limit: Duration) -> bool {
        let (method, extensions) = Default::default();
        let ping = self.request(ClientRequest::PingRequest(PingRequest { method, extensions }));
        // A refusal is an answer.
        matches!(timeout(limit, ping).await, Ok(Ok(_) | Err(CallFault::Refused(_) | CallFault::Nonsense)))
    }

    /// Tells the server that nobody waits for this answer any more.
    pub async fn cancel(&self, id: RequestId) {
        let params = CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
        let notification = CancelledNotification::new(params);
        let _ = timeout(LAST_MOMENT, self.peer.send_notification(notification.into())).await;
    }
}

struct Forget<'a> {
    progress: &'a Progress,
    token: &'a rmcp::model::ProgressToken,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.progress.forget(self.token);
    }
}

/// What stands in an address after the question mark, which may be a key.
fn query_of(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}

fn without_query(text: &str, query: &str) -> String {
    if query.is_empty() { text.to_owned() } else { text.replace(query, "…") }
}

fn fault(error: ServiceError, query: &str) -> CallFault {
    match error {
        ServiceError::McpError(error) => CallFault::Refused(cut(&error.message)),
        ServiceError::UnexpectedResponse => CallFault::Nonsense,
        ServiceError::TransportSend(error) => CallFault::Gone(one_line(&without_query(&transport(&error), query))),
        other => CallFault::Gone(one_line(&without_query(&chain(&other), query))),
    }
}

fn cut(text: &str) -> String {
    crate::core::text::ellipsis(text.trim(), MAX_COMPLAINT)
}

/// An error with what is behind it, which is where the reason is.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// What went wrong on the way, in front of which the transport puts the name of its type, and behind which it hides the
/// reason of an HTTP client.
fn transport(error: &DynamicTransportError) -> String {
    match error.error.downcast_ref() {
        Some(StreamableHttpError::Client(error)) => chain(error as &reqwest::Error),
        Some(StreamableHttpError::AuthRequired(_)) => "HTTP 401: it wants a token, or another one".to_owned(),
        _ => chain(&*error.error).trim_end_matches([':', ' ']).to_owned(),
    }
}

fn no_greeting(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => transport(error),
        other => chain(other),
    }
}

/// Starts or reaches a server and greets it. The error says why it did not come to that.
pub async fn connect(settings: &ServerSettings) -> Result<Link, String> {
    let (progress, changed) = (Progress::default(), Arc::new(Notify::new()));
    let (fault, stop) = (Fault::default(), CancellationToken::new());
    let server: Arc<str> = settings.name.as_str().into();
    let client = Client { server, progress: progress.clone(), changed: Arc::clone(&changed) };
    let limit = settings.start_timeout;
    let (peer, ended) = match &settings.transport {
        Transport::Stdio { command, supervisor } => {
            let process = Process::start(supervisor, command, &fault).await.map_err(|error| error.to_string())?;
            greet_process(process, client, fault, &stop, limit).await?
        }
        Transport::Http { .. } => greet_http(&settings.transport, client, fault, &stop, limit).await?,
    };
    let (sender, given_up) = mpsc::channel(MAX_GIVEN_UP);
    let capabilities = capabilities(&peer);
    let query = match &settings.transport {
        Transport::Http { url, .. } => query_of(url).into(),
        Transport::Stdio { .. } => Arc::default(),
    };
    let connection = Connection { peer, progress, given_up: sender, query, capabilities };
    Ok(Link { connection, changed, given_up, stop, ended })
}

fn capabilities(peer: &Peer<RoleClient>) -> Capabilities {
    let Some(info) = peer.peer_info() else { return Capabilities::default() };
    let has = &info.capabilities;
    Capabilities { tools: has.tools.is_some(), resources: has.resources.is_some(), prompts: has.prompts.is_some() }
}

/// A connection that has been greeted: for requests, and until its end.
type Greeted = (Peer<RoleClient>, BoxFuture<'static, String>);

async fn greet_process(
    process: Process,
    client: Client,
    fault: Fault,
    stop: &CancellationToken,
    limit: Duration,
) -> Result<Greeted, String> {
    let Process { mut running, stdin, stdout, stderr } = process;
    let (words, server) = (LastWords::default(), Arc::clone(&client.server));
    let listener = words.clone();
    let mut listening = async move { listener.listen(&server, stderr).await }.boxed().fuse();
    // Ours is the limit that counts; the transport's own would lose a message and leave its call waiting.
    let transport = AsyncRwTransport::new_client(stdout, stdin).with_max_line_length(2 * MAX_MESSAGE);
    let greeting = timeout(limit, client.serve_with_ct(Guarded::new(transport, Arc::clone(&fault)), stop.clone()));
    let mut greeting = std::pin::pin!(greeting);
    let greeted = loop {
        tokio::select! {
            greeted = &mut greeting => break greeted,
            () = &mut listening => {}
        }
    };
    let reason = match greeted {
        Ok(Ok(service)) => {
            let peer = service.peer().clone();
            return Ok((peer, end_of_process(service, running, listening, words, fault).boxed()));
        }
        Ok(Err(error)) => {
            let ended = timeout(LAST_MOMENT, running.wait()).await;
            ended.map_or_else(|_| one_line(&no_greeting(&error)), describe)
        }
        Err(_) => late(limit),
    };
    if !listening.is_terminated() {
        let _ = timeout(LAST_MOMENT, listening).await;
    }
    Err(words.after(fault.get().cloned().unwrap_or(reason)))
}

fn late(limit: Duration) -> String {
    format!("it gave no answer within {} s", limit.as_secs_f64())
}

async fn end_of_process(
    service: RunningService<RoleClient, Client>,
    mut running: Running,
    mut listening: Fuse<BoxFuture<'static, ()>>,
    words: LastWords,
    fault: Fault,
) -> String {
    let end = async {
        let mut waiting = std::pin::pin!(service.waiting());
        let reason = tokio::select! {
            _ = &mut waiting => match timeout(LAST_MOMENT, running.wait()).await {
                Ok(ended) => describe(ended),
                Err(_) => "it closed its output".to_owned(),
            },
            ended = running.wait() => {
                let _ = timeout(LAST_MOMENT, waiting).await;
                describe(ended)
            }
        };
        // A process that ends because we no longer listen is not why.
        fault.get().cloned().unwrap_or(reason)
    };
    let mut end = std::pin::pin!(end);
    let reason = loop {
        tokio::select! {
            reason = &mut end => break reason,
            () = &mut listening => {}
        }
    };
    words.after(reason)
}

async fn greet_http(
    transport: &Transport,
    client: Client,
    fault: Fault,
    stop: &CancellationToken,
    limit: Duration,
) -> Result<Greeted, String> {
    let Transport::Http { url, bearer, headers, guard } = transport else { return Err("it has no address".to_owned()) };
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
        .max_sse_event_size(MAX_MESSAGE)
        .max_json_response_size(MAX_MESSAGE)
        .custom_headers(custom_headers(headers)?);
    if let Some(token) = bearer {
        config = config.auth_header(token.expose_secret());
    }
    let transport = StreamableHttpClientTransport::with_client(http_client(limit, guard.as_ref())?, config);
    let serving = client.serve_with_ct(Guarded::new(transport, Arc::clone(&fault)), stop.clone());
    let service = match timeout(limit, serving).await {
        Ok(Ok(service)) => service,
        Ok(Err(error)) => {
            let reason = one_line(&without_query(&no_greeting(&error), query_of(url)));
            return Err(fault.get().cloned().unwrap_or(reason));
        }
        Err(_) => return Err(late(limit)),
    };
    let peer = service.peer().clone();
    let ended = service.waiting().map(move |_| match fault.get() {
        Some(fault) => fault.clone(),
        None => "the connection was closed".to_owned(),
    });
    Ok((peer, ended.boxed()))
}

fn custom_headers(headers: &[(String, SecretString)]) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let header = |(name, value): &(String, SecretString)| {
        let key = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no name of a header"))?;
        let value = HeaderValue::try_from(value.expose_secret());
        let mut value = value.map_err(|_| format!("the value of the header `{name}` is none"))?;
        value.set_sensitive(true);
        Ok((key, value))
    };
    headers.iter().map(header).collect()
}

fn http_client(connect_timeout: Duration, guard: Option<&Guard>) -> Result<reqwest::Client, String> {
    if let Some(guard) = guard {
        return guard.builder().connect_timeout(connect_timeout).build().map_err(|error| error.to_string());
    }
    // An error means that a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder()
        .user_agent(concat!("nuncio/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        // A redirect would carry the key to where nobody meant it to go.
        .redirect(reqwest::redirect::Policy::none());
    client.build().map_err(|error| error.to_string())
}
