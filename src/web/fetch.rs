//! Getting a URL: redirects followed one by one, each through the guard, and a body that is read as far as it may go.

use super::guard::{Guard, Refusal};
pub use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Response, Url};
use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

/// How often a page may send on to another.
const MAX_REDIRECTS: usize = 5;

/// The part of a call's time that one address may take to answer a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);

const ACCEPTED: &str = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/*;q=0.8, */*;q=0.5";

/// Gets what is behind URLs. It holds no cookies and no keys, so that it has none to give away.
pub struct Fetcher {
    guard: Guard,
    /// Made when they are first needed: the one for https loads the system's certificates, and a machine without any can
    /// still get what is behind http.
    plain: OnceLock<Result<Client, String>>,
    secure: OnceLock<Result<Client, String>>,
}

/// An answer whose body is yet to be read.
#[derive(Debug)]
pub struct Fetched {
    /// Where the last redirect led.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    response: Response,
}

/// The start of a body, or all of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    /// There was more than was asked for.
    pub is_cut: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("{from} redirects to {to}, and {refusal}")]
    RedirectRefused { from: String, to: String, refusal: Refusal },
    #[error("{from} redirects to {to}, which is no URL")]
    BadRedirect { from: String, to: String },
    #[error("{from} redirects from https to {to}, which anyone on the way could read and change")]
    Downgrade { from: String, to: String },
    #[error("more than {MAX_REDIRECTS} redirects, the last one to {0}")]
    TooManyRedirects(String),
    #[error("no connection to {host}: {cause}")]
    Unreachable { host: String, cause: String },
    #[error("{host} took too long to connect")]
    ConnectTimeout { host: String },
    #[error("{url} gave no answer: {cause}")]
    NoAnswer { url: String, cause: String },
    #[error("{url} broke off in the middle: {cause}")]
    Broken { url: String, cause: String },
    /// Nothing that was asked for: the answer may be a small one that grows without end.
    #[error("{url} is compressed as {encoding}, which was not asked for")]
    Encoded { url: String, encoding: String },
    #[error("no client for https can be made: {0}")]
    Client(String),
}

impl Fetcher {
    pub fn new(guard: Guard) -> Self {
        Self { guard, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    pub async fn get(&self, url: Url) -> Result<Fetched, FetchError> {
        self.guard.check(&url).map_err(FetchError::Refused)?;
        let mut url = url;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&url).await?;
            let Some(to) = target(&response) else {
                return Ok(Fetched { url, status: response.status(), headers: response.headers().clone(), response });
            };
            url = self.next(url, &to)?;
        }
        Err(FetchError::TooManyRedirects(url.into()))
    }

    async fn send(&self, url: &Url) -> Result<Response, FetchError> {
        let request = self.client(url)?.get(url.clone()).header(ACCEPT, ACCEPTED);
        // Nothing here unpacks, so a small answer cannot become a large one.
        let request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request.send().await.map_err(|error| failure(url, &error))
    }

    /// Where a redirect leads, if it may be followed.
    fn next(&self, from: Url, to: &str) -> Result<Url, FetchError> {
        // As it came, it may hold what no log and no model should see broken over lines.
        let shown = || to.escape_debug().take(200).collect::<String>();
        let Ok(mut url) = from.join(to) else { return Err(FetchError::BadRedirect { to: shown(), from: from.into() }) };
        if let Err(refusal) = self.guard.check(&url) {
            return Err(FetchError::RedirectRefused { to: shown(), from: from.into(), refusal });
        }
        if from.scheme() == "https" && url.scheme() == "http" {
            return Err(FetchError::Downgrade { from: from.into(), to: url.into() });
        }
        if url.fragment().is_none() {
            url.set_fragment(from.fragment());
        }
        Ok(url)
    }

    fn client(&self, url: &Url) -> Result<&Client, FetchError> {
        // Each call has its own connection: what one conversation opened is of no use to another.
        let builder = || self.guard.builder().connect_timeout(CONNECT_TIME).pool_max_idle_per_host(0);
        let made = match url.scheme() {
            "https" => self.secure.get_or_init(|| builder().build().map_err(|error| root_cause(&error))),
            _ => self.plain.get_or_init(|| builder().tls_certs_only([]).build().map_err(|error| root_cause(&error))),
        };
        made.as_ref().map_err(|cause| FetchError::Client(cause.clone()))
    }
}

impl Fetched {
    /// A header's value, if it is text.
    pub fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the server says of the size, or `None` if it says nothing.
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Reads the body, up to a limit in bytes. The rest is never taken off the wire.
    pub async fn read(mut self, limit: usize) -> Result<Body, FetchError> {
        if let Some(encoding) = self.header(CONTENT_ENCODING).filter(|encoding| !is_identity(encoding)) {
            let encoding = encoding.escape_debug().take(40).collect();
            return Err(FetchError::Encoded { encoding, url: self.url.into() });
        }
        let mut bytes = Vec::new();
        loop {
            match self.response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = limit - bytes.len();
                    bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        return Ok(Body { bytes, is_cut: true });
                    }
                }
                Ok(None) => return Ok(Body { bytes, is_cut: false }),
                Err(error) => return Err(FetchError::Broken { url: self.url.into(), cause: root_cause(&error) }),
            }
        }
    }
}

fn is_identity(encoding: &str) -> bool {
    let encoding = encoding.trim();
    encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

/// Where a response redirects to, as it says it.
fn target(response: &Response) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

fn failure(url: &Url, error: &reqwest::Error) -> FetchError {
    if let Some(refusal) = Refusal::of(error) {
        return FetchError::Refused(refusal.clone());
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => FetchError::ConnectTimeout { host },
        (true, false) => FetchError::Unreachable { host, cause: root_cause(error) },
        (false, _) => FetchError::NoAnswer { url: url.to_string(), cause: root_cause(error) },
    }
}

/// The innermost cause: the part of an error that says what happened, without the addresses around it.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::address::AddressRules;

    fn next(from: &str, to: &str) -> Result<String, String> {
        let fetcher = Fetcher::new(Guard::new(AddressRules::default()));
        let next = fetcher.next(from.parse().unwrap(), to);
        next.map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn a_redirect_keeps_what_the_first_address_promised() {
        let downgrade =
            "https://a.test/ redirects from https to http://b.test/, which anyone on the way could read and change";
        let cases = [
            (("https://a.test/x/y#p", "../z"), Ok("https://a.test/z#p")),
            (("https://a.test/x", "//b.test/#q"), Ok("https://b.test/#q")),
            (("http://a.test/", "https://a.test/"), Ok("https://a.test/")),
            (("https://a.test/", "http://b.test/"), Err(downgrade)),
            (
                ("http://a.test/", "http://10.0.0.1/\nx"),
                Err("http://a.test/ redirects to http://10.0.0.1/\\nx, and 10.0.0.1 is a private address"),
            ),
        ];
        for ((from, to), expected) in cases {
            assert_eq!(next(from, to), expected.map(str::to_owned).map_err(str::to_owned), "{from} {to}");
        }
    }
}
