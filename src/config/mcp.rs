//! `mcp_servers:` servers of tools, started or reached over the Model Context Protocol.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{
    environment::Environment,
    error::Problems,
    sandbox::{Level, Network, Reach},
    upstreams, value,
};

/// Either a program that is started (`command`) or an address (`url`).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McpServer {
    /// A path, or a name that is looked up in the daemon's `PATH`.
    pub command: Option<String>,
    pub args: Vec<String>,
    /// Variables of the program. Secret, because that is where such programs want their keys. Once loaded, those of
    /// `pass_env` are among them.
    #[serde(deserialize_with = "value::secrets")]
    pub env: BTreeMap<String, SecretString>,
    /// Names of variables of the daemon that the program gets too: nothing is passed on by itself.
    pub pass_env: Vec<String>,
    /// The program's folder; `None` gives it its own under the data folder. Absolute once loaded.
    pub cwd: Option<PathBuf>,
    /// How much is kept from the program.
    pub sandbox: Level,
    pub network: Option<Network>,
    /// What it may read and what it may write besides. Absolute once loaded.
    pub read: Vec<PathBuf>,
    pub write: Vec<PathBuf>,
    pub url: Option<String>,
    /// Sent with every request. Secret, because some services want their key in a header of their own.
    #[serde(deserialize_with = "value::secrets")]
    pub headers: BTreeMap<String, SecretString>,
    /// Name of the variable that holds the bearer token.
    pub bearer_token_env: Option<String>,
    /// What was found there.
    #[serde(skip)]
    pub bearer_token: Option<SecretString>,
    /// The only tools taken from the server; `None` takes all.
    pub allow: Option<Vec<String>>,
    /// Tools not taken.
    pub deny: Vec<String>,
    /// Whether a tool that says of itself that it only reads is believed.
    pub trust_annotations: bool,
    /// From the start to the list of tools.
    #[serde(deserialize_with = "value::duration")]
    pub start_timeout: Duration,
    /// Of one call; `None` is the profile's `tool_time`.
    #[serde(deserialize_with = "value::optional_duration")]
    pub call_timeout: Option<Duration>,
    /// Bytes of text that one call hands to the model.
    #[serde(deserialize_with = "value::size")]
    pub max_output: usize,
}

impl Default for McpServer {
    fn default() -> Self {
        let (command, args, env, pass_env, cwd) = Default::default();
        let (sandbox, network, read, write) = Default::default();
        let (url, headers, bearer_token_env, bearer_token) = Default::default();
        let (allow, deny, trust_annotations, call_timeout) = Default::default();
        Self {
            command,
            args,
            env,
            pass_env,
            cwd,
            sandbox,
            network,
            read,
            write,
            url,
            headers,
            bearer_token_env,
            bearer_token,
            allow,
            deny,
            trust_annotations,
            start_timeout: Duration::from_secs(30),
            call_timeout,
            max_output: 32 << 10,
        }
    }
}

impl McpServer {
    /// Fetches what `pass_env` and `bearer_token_env` point at.
    pub(super) fn fetch(&mut self, at: &str, env: &Environment<'_>, problems: &mut Problems<'_>) {
        // What was found is not repeated: it may be the secret itself, pasted in the wrong place.
        let expected = "expected the name of a variable that is set, not its value";
        for (index, variable) in self.pass_env.iter().enumerate() {
            match env.text(variable) {
                Ok(Some(text)) => drop(self.env.entry(variable.clone()).or_insert_with(|| text.into())),
                Ok(None) => problems.add(format!("{at}.pass_env[{index}]"), expected),
                Err(message) => problems.add(format!("{at}.pass_env[{index}]"), message),
            }
        }
        if let Some(variable) = &self.bearer_token_env {
            match env.text(variable) {
                Ok(Some(token)) => self.bearer_token = Some(token.into()),
                Ok(None) => problems.add(format!("{at}.bearer_token_env"), expected),
                Err(message) => problems.add(format!("{at}.bearer_token_env"), message),
            }
        }
    }

    /// Whether it is one that is started here.
    pub fn is_program(&self) -> bool {
        self.command.is_some()
    }

    pub fn reach(&self) -> Reach<'_> {
        Reach { sandbox: self.sandbox, network: self.network, read: &self.read, write: &self.write }
    }

    pub(super) fn check(&self, at: &str, problems: &mut Problems<'_>) {
        let field = |name: &str| format!("{at}.{name}");
        match (&self.command, &self.url) {
            (Some(command), None) => {
                problems.expect(!command.is_empty(), field("command"), "expected a program; found nothing");
                self.check_program(at, problems);
            }
            (None, Some(url)) => {
                problems.check(field("url"), check_url(url));
                self.check_address(at, problems);
            }
            (Some(_), Some(_)) => problems.add(field("url"), "expected either `command` or `url`; found both"),
            (None, None) => problems.add(at, "expected `command`, a program to start, or `url`, an address"),
        }
        for name in self.allow.iter().flatten().filter(|name| self.deny.contains(name)) {
            let message = format!("expected tools that are not in `allow` too; found `{}`", name.escape_debug());
            problems.add(field("deny"), message);
        }
        problems.expect(!self.start_timeout.is_zero(), field("start_timeout"), "expected more than 0");
        let call_timeout = self.call_timeout.is_none_or(|limit| !limit.is_zero());
        problems.expect(call_timeout, field("call_timeout"), "expected more than 0");
        problems.expect(self.max_output > 0, field("max_output"), "expected more than 0");
    }

    fn check_program(&self, at: &str, problems: &mut Problems<'_>) {
        self.reach().check(at, problems);
        let given = [("headers", !self.headers.is_empty()), ("bearer_token_env", self.bearer_token_env.is_some())];
        for (name, given) in given {
            problems.expect(!given, format!("{at}.{name}"), "expected nothing: it goes with `url`");
        }
        for name in self.env.keys() {
            let good = !name.is_empty() && !name.contains(['=', '\0']);
            problems.expect(good, value::join(&format!("{at}.env"), name), "expected the name of a variable");
        }
    }

    fn check_address(&self, at: &str, problems: &mut Problems<'_>) {
        let given = [
            ("args", !self.args.is_empty()),
            ("env", !self.env.is_empty()),
            ("pass_env", !self.pass_env.is_empty()),
            ("cwd", self.cwd.is_some()),
            ("sandbox", self.sandbox != Level::default()),
            ("network", self.network.is_some()),
            ("read", !self.read.is_empty()),
            ("write", !self.write.is_empty()),
        ];
        for (name, given) in given {
            problems.expect(!given, format!("{at}.{name}"), "expected nothing: it goes with `command`");
        }
        for (name, value) in &self.headers {
            upstreams::check_header(&value::join(&format!("{at}.headers"), name), name, value, problems);
        }
        let authorized = self.headers.keys().find(|name| name.eq_ignore_ascii_case("authorization"));
        if let Some(name) = authorized.filter(|_| self.bearer_token_env.is_some()) {
            let expected = "expected this or `bearer_token_env`: both are the same header";
            problems.add(value::join(&format!("{at}.headers"), name), expected);
        }
        let token = self.bearer_token.as_ref().is_none_or(upstreams::is_header_value);
        let expected = "expected a token of visible ASCII characters; a header carries no others";
        problems.expect(token, format!("{at}.bearer_token_env"), expected);
    }
}

/// The found text is not shown: there may be a key in it.
fn check_url(text: &str) -> Result<(), String> {
    let expected = "expected an http or https URL such as https://mcp.example.org/mcp";
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Err(expected.to_owned());
    };
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(()),
        false => Err("expected a URL without user and password; a token belongs in `bearer_token_env`".to_owned()),
    }
}
