//! `tools:` limits of the built-in tools, for all profiles alike.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Access, access};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{environment::Environment, error::Problems, profiles::AllowedTools, value};
use crate::web::address::Allowance;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tools {
    /// Bytes of text that one call of any tool hands to the model; it is paid for in tokens.
    #[serde(deserialize_with = "value::size")]
    pub output_limit: usize,
    pub terminal: Terminal,
    pub files: Files,
    pub search: Search,
    pub fetch_url: FetchUrl,
    /// `None` means that there is no such tool.
    pub web_search: Option<WebSearch>,
    pub memory: Memory,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terminal {
    /// Runs the commands with `-c`; `None` means bash where there is one, else sh. See [`Terminal::shell`].
    pub shell: Option<PathBuf>,
    /// The longest any command may run, whatever the profile allows and the model asks for.
    #[serde(deserialize_with = "value::duration")]
    pub max_time: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// Bytes of the largest file that is edited, as an edit holds all of it in memory.
    #[serde(deserialize_with = "value::size")]
    pub max_size: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// Matching lines that one search gives the model.
    #[serde(deserialize_with = "value::number")]
    pub max_matches: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FetchUrl {
    /// Bytes of a page that are read; the rest is not.
    #[serde(deserialize_with = "value::size")]
    pub max_size: usize,
    /// From the first lookup to the last byte, within the profile's tool time.
    #[serde(deserialize_with = "value::duration")]
    pub max_time: Duration,
    /// Hosts and networks that may be reached although they are not public.
    pub allow: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSearch {
    /// Once loaded, there is one.
    pub provider: Option<SearchProvider>,
    /// `None` means the provider's own; a SearXNG always has one.
    pub base_url: Option<String>,
    #[serde(deserialize_with = "value::secret")]
    pub api_key: Option<SecretString>,
    /// Name of the variable that `api_key` was taken from.
    pub api_key_env: Option<String>,
    /// Pages that one search lists.
    #[serde(deserialize_with = "value::number")]
    pub max_results: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchProvider {
    Searxng,
    Brave,
    Tavily,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Bytes of the notes of one user with one profile, which every prompt of theirs has in full.
    #[serde(deserialize_with = "value::size")]
    pub max_size: usize,
}

impl Default for Tools {
    fn default() -> Self {
        let (terminal, files, search, fetch_url, web_search, memory) = Default::default();
        Self { output_limit: 32 << 10, terminal, files, search, fetch_url, web_search, memory }
    }
}

impl Default for FetchUrl {
    fn default() -> Self {
        Self { max_size: 5 << 20, max_time: Duration::from_secs(30), allow: Vec::new() }
    }
}

impl Default for WebSearch {
    fn default() -> Self {
        Self { provider: None, base_url: None, api_key: None, api_key_env: None, max_results: 8 }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self { shell: None, max_time: Duration::from_secs(10 * 60) }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self { max_size: 16 << 20 }
    }
}

impl Default for Search {
    fn default() -> Self {
        Self { max_matches: 200 }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { max_size: 8 << 10 }
    }
}

impl Terminal {
    /// The shell to run, chosen now if none is configured.
    pub fn shell(&self) -> PathBuf {
        let usual = || {
            if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" }
        };
        self.shell.clone().unwrap_or_else(|| usual().into())
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && is_bare
    })
}

/// The tool that there is only where it is configured.
const WEB_SEARCH: &str = "web_search";

impl WebSearch {
    fn check(&self, problems: &mut Problems<'_>) {
        let at = |key: &str| format!("tools.web_search.{key}");
        problems.expect(self.provider.is_some(), at("provider"), "expected searxng, brave or tavily");
        problems.expect((1..=50).contains(&self.max_results), at("max_results"), "expected 1 to 50");
        if let Some(base_url) = &self.base_url {
            problems.expect(
                is_address(base_url),
                at("base_url"),
                "expected an http or https URL such as http://127.0.0.1:8888, without user, password and query",
            );
        }
        match self.provider {
            Some(SearchProvider::Searxng) => {
                let expected = "expected the address of your SearXNG, such as http://127.0.0.1:8888";
                problems.expect(self.base_url.is_some(), at("base_url"), expected);
            }
            Some(SearchProvider::Brave | SearchProvider::Tavily) => {
                // One that was named and not found is told already.
                let has_key = self.api_key.is_some() || self.api_key_env.is_some();
                problems.expect(has_key, at("api_key_env"), "expected the variable that holds the key of the service");
            }
            None => {}
        }
    }
}

impl Tools {
    /// Fetches the keys that variables hold.
    pub(super) fn fetch_keys(&mut self, env: &Environment<'_>, problems: &mut Problems<'_>) {
        if let Some(search) = &mut self.web_search {
            env.fetch_key(&mut search.api_key, search.api_key_env.as_deref(), "tools.web_search", problems);
        }
    }

    /// Checks that what a profile names is there to be offered.
    pub(super) fn check_use(&self, at: &str, allowed: &AllowedTools, problems: &mut Problems<'_>) {
        let AllowedTools::Only(names) = allowed else { return };
        for (index, _) in names.iter().enumerate().filter(|(_, name)| *name == WEB_SEARCH) {
            let expected = "expected `tools.web_search` to be set, as web_search needs a provider; found none";
            problems.expect(self.web_search.is_some(), format!("{at}.tools[{index}]"), expected);
        }
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let over_zero = "expected more than 0";
        let absolute = self.terminal.shell.as_ref().is_none_or(|shell| shell.is_absolute());
        problems.expect(absolute, "tools.terminal.shell", "expected an absolute path such as /bin/sh");
        let runs = self.terminal.shell.as_ref().is_none_or(|shell| !shell.is_absolute() || is_program(shell));
        problems.expect(runs, "tools.terminal.shell", "expected a program that is on this machine and can be run");
        problems.expect(self.output_limit > 0, "tools.output_limit", over_zero);
        problems.expect(!self.terminal.max_time.is_zero(), "tools.terminal.max_time", over_zero);
        problems.expect(self.files.max_size > 0, "tools.files.max_size", over_zero);
        problems.expect(self.search.max_matches > 0, "tools.search.max_matches", over_zero);
        problems.expect(self.fetch_url.max_size > 0, "tools.fetch_url.max_size", over_zero);
        problems.expect(!self.fetch_url.max_time.is_zero(), "tools.fetch_url.max_time", over_zero);
        for (index, text) in self.fetch_url.allow.iter().enumerate() {
            let parsed = text.parse::<Allowance>().map(drop).map_err(|error| error.to_string());
            problems.check(format!("tools.fetch_url.allow[{index}]"), parsed);
        }
        if let Some(search) = &self.web_search {
            search.check(problems);
        }
        let fits = (256..=1 << 20).contains(&self.memory.max_size);
        problems.expect(fits, "tools.memory.max_size", "expected 256 bytes to 1MiB: every prompt has all of it");
    }
}
