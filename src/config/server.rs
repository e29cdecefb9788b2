//! `server:` where the daemon listens, whom it lets in, and how long it waits.

use std::{net::IpAddr, time::Duration};

use serde::Deserialize;
use url::Url;

use super::{error::Problems, value};

/// The door: one listener and the limits that hold for every client.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// IP address or host name to bind.
    pub host: String,
    /// 0 takes any free port.
    #[serde(deserialize_with = "value::number")]
    pub port: u16,
    /// `Host` names that a keyless daemon answers to besides loopback and `host`; the rest is DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may call from a browser, as the browser sends them.
    pub cors_origins: Vec<String>,
    pub unknown_model: UnknownModel,
    /// Bytes of one request body.
    #[serde(deserialize_with = "value::size")]
    pub body_limit: usize,
    /// Runs in flight at once, of all clients together.
    #[serde(deserialize_with = "value::number")]
    pub max_runs: usize,
    /// Silence on a stream after which a comment goes out; clients and proxies drop silent connections.
    #[serde(deserialize_with = "value::duration")]
    pub keepalive: Duration,
    /// How long one client may take nothing of its stream before its run is cancelled.
    #[serde(deserialize_with = "value::duration")]
    pub slow_client_timeout: Duration,
    /// How long runs may go on after SIGTERM.
    #[serde(deserialize_with = "value::duration")]
    pub shutdown_grace: Duration,
    /// Response headers leave after this even if the upstream has not answered; later failures are error chunks.
    #[serde(deserialize_with = "value::duration")]
    pub header_wait: Duration,
    /// How long a WebSocket may be open. OpenAI's are closed after an hour, so clients know to open another.
    #[serde(deserialize_with = "value::duration")]
    pub websocket_time: Duration,
}

/// What a request for a model id that is no profile gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownModel {
    /// 404 `model_not_found`.
    Refuse,
    /// The default profile.
    Default,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8642,
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            unknown_model: UnknownModel::Refuse,
            body_limit: 20 << 20,
            max_runs: 4096,
            keepalive: Duration::from_secs(10),
            slow_client_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(30),
            header_wait: Duration::from_secs(1),
            websocket_time: Duration::from_secs(3600),
        }
    }
}

impl Server {
    /// Whether only this machine can reach the listener.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    pub(super) fn check(&self, has_keys: bool, problems: &mut Problems<'_>) {
        match check_host(&self.host) {
            Ok(()) if has_keys || self.is_loopback() => {}
            Ok(()) => problems.add("server.host", open_door(&self.host)),
            Err(message) => problems.add("server.host", message),
        }
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            problems.check(format!("server.allowed_hosts[{index}]"), check_host(host));
        }
        for (index, origin) in self.cors_origins.iter().enumerate() {
            problems.check(format!("server.cors_origins[{index}]"), check_origin(origin));
        }
        let over_zero = "expected more than 0";
        problems.expect(self.body_limit > 0, "server.body_limit", over_zero);
        problems.expect(self.max_runs > 0, "server.max_runs", over_zero);
        problems.expect(!self.keepalive.is_zero(), "server.keepalive", over_zero);
        problems.expect(!self.slow_client_timeout.is_zero(), "server.slow_client_timeout", over_zero);
        problems.expect(!self.websocket_time.is_zero(), "server.websocket_time", over_zero);
    }
}

fn open_door(host: &str) -> String {
    format!(
        "{host} can be reached from other machines and there is no key, so anyone there could run commands on this \
         one; add a key (`nuncio key new NAME`, or API_SERVER_KEY) or listen on 127.0.0.1"
    )
}

fn check_host(host: &str) -> Result<(), String> {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let good = host.parse::<IpAddr>().is_ok() || (1..=253).contains(&host.len()) && host.chars().all(name);
    let expected = "expected an IP address or a host name, without scheme or port";
    if good { Ok(()) } else { Err(format!("{expected}; found `{}`", host.escape_debug())) }
}

/// An origin must be spelled as browsers send it, or it would never match.
fn check_origin(origin: &str) -> Result<(), String> {
    let found = origin.escape_debug();
    if origin == "*" {
        return Err("expected each origin by name; `*` would let every web page in".to_owned());
    }
    let sent = Url::parse(origin).ok().filter(Url::has_host).map(|url| match url.origin() {
        tuple @ url::Origin::Tuple(..) => tuple.ascii_serialization(),
        // Apps send schemes of their own, such as app://obsidian.md.
        url::Origin::Opaque(_) => format!("{}://{}", url.scheme(), url.authority()),
    });
    match sent {
        Some(sent) if sent == origin => Ok(()),
        Some(sent) => Err(format!("expected an origin as browsers send it: `{sent}`; found `{found}`")),
        None => Err(format!("expected an origin such as https://chat.example.org; found `{found}`")),
    }
}
