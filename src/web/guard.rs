//! What stands between a URL that somebody else named and a connection.
//!
//! A URL is checked by [`Guard::check`], which sees addresses that stand in the URL itself. Names are checked where they
//! become addresses: in the resolver of the client that [`Guard::builder`] gives, which hands out only what passed. The
//! connection goes to one of those addresses, and no name is looked up twice for it, so an answer that changes between
//! the check and the connection changes nothing.

use super::address::{AddressRules, Special};
use super::lookup::{Lookup, SystemLookup};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Url, redirect};
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use url::Host;

/// The longest URL that is looked at, in bytes: more than any server takes.
pub const MAX_URL: usize = 8 * 1024;

pub(super) const USER_AGENT: &str = concat!("nuncio/", env!("CARGO_PKG_VERSION"));

/// Decides which addresses are connected to. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    rules: Arc<AddressRules>,
    lookup: Arc<dyn Lookup>,
}

/// Why a URL is not called. The text names the host and not the address it leads to, which may be nobody's business.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the URL is longer than {MAX_URL} bytes")]
    TooLong,
    #[error("`{0}:` is neither http: nor https:")]
    Scheme(String),
    #[error("the URL holds a user name or password")]
    Credentials,
    #[error("the URL names no host")]
    NoHost,
    #[error("{host} is {special}")]
    Address { host: String, special: Special },
    #[error("{host} leads to {special}")]
    Name { host: String, special: Special },
    #[error("{host} has no address")]
    Unknown { host: String },
}

impl Refusal {
    /// The refusal that made a request fail, if that is what did.
    pub fn of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            cause = error.source();
        }
        None
    }
}

impl Guard {
    pub fn new(rules: AddressRules) -> Self {
        Self::with_lookup(rules, Arc::new(SystemLookup))
    }

    pub fn with_lookup(rules: AddressRules, lookup: Arc<dyn Lookup>) -> Self {
        Self { rules: Arc::new(rules), lookup }
    }

    /// Checks all of a URL but the addresses of a name. The parser has made dotted IPv4 addresses of decimal, hex, octal
    /// and short ones, as it does in browsers.
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        if url.as_str().len() > MAX_URL {
            return Err(Refusal::TooLong);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let address = match url.host().ok_or(Refusal::NoHost)? {
            Host::Ipv4(address) => IpAddr::from(address),
            Host::Ipv6(address) => address.into(),
            Host::Domain(name) => match name.parse() {
                Ok(address) => address,
                Err(_) => return Ok(()),
            },
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        self.rules.check(address).map_err(|special| Refusal::Address { host, special })
    }

    /// A client whose every connection to a name passes this guard: it resolves by it, goes through no proxy, which would
    /// resolve for itself, and follows no redirect. URLs are for [`Guard::check`], as an address in one is not resolved.
    pub fn builder(&self) -> ClientBuilder {
        install_tls();
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .dns_resolver(Arc::new(self.clone()))
            .no_proxy()
            .redirect(redirect::Policy::none())
    }
}

/// Must come before a client is made. An error means that a provider is installed already, which is as good.
pub(super) fn install_tls() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = guard.lookup.lookup(&host).await?;
            if found.is_empty() {
                return Err(Refusal::Unknown { host }.into());
            }
            if !guard.rules.allows_name(&host) {
                // One bad answer spoils them all: a name with a public and a private address is a trap or a mistake.
                let checked = found.iter().try_for_each(|address| guard.rules.check(address.ip()));
                checked.map_err(|special| Refusal::Name { host, special })?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
