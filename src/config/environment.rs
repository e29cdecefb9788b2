//! What the process' environment says: settings by variable, the upstream it implies, and the usual folders.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use url::Url;

use super::{
    auth,
    error::{Origin, Problem, Problems, Sources},
    file::Document,
    upstreams::{self, Upstream, UpstreamKind},
};

/// How variables are looked up; injected, so that tests leave the process alone.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

const BASE_URL: &str = "NUNCIO_UPSTREAM_BASE_URL";
const API_KEY: &str = "NUNCIO_UPSTREAM_API_KEY";
const MODEL: &str = "NUNCIO_UPSTREAM_MODEL";

const OPENAI: &str = "https://api.openai.com/v1";
const OPENROUTER: &str = "https://openrouter.ai/api/v1";

/// The surroundings that a configuration is loaded in.
#[derive(Clone, Copy)]
pub(super) struct Environment<'a> {
    pub lookup: Lookup<'a>,
    pub cwd: &'a Path,
}

impl Environment<'_> {
    /// A variable. One that is no text is a mistake and never unset: an unset key would open the door.
    pub fn get(&self, name: &'static str) -> Result<Option<String>, Problem> {
        self.text(name).map_err(|message| Problem::of_variable(name, message))
    }

    /// The same for a name that the configuration holds; the error says what was expected.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        let text = self.raw(name).map(OsString::into_string).transpose();
        text.map_err(|_| "expected UTF-8 text".to_owned())
    }

    /// An empty variable counts as unset, as container set-ups pass what their user left blank.
    fn raw(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// Takes a key from the variable that `at.api_key_env` names.
    pub fn fetch_key(
        &self,
        key: &mut Option<SecretString>,
        variable: Option<&str>,
        at: &str,
        problems: &mut Problems<'_>,
    ) {
        let Some(variable) = variable else { return };
        let at = format!("{at}.api_key_env");
        if key.is_some() {
            problems.add(at, "expected either `api_key` or `api_key_env`; found both");
            return;
        }
        match self.text(variable) {
            Ok(Some(found)) => *key = Some(found.into()),
            // What was found is not repeated: it may be the key itself, pasted in the wrong place.
            Ok(None) => problems.add(at, "expected the name of a variable that is set, not the key itself"),
            Err(message) => problems.add(at, format!("{message} in the variable; found other bytes")),
        }
    }

    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// A folder of the XDG base directory specification, which ignores relative ones.
    pub fn folder(&self, variable: &str, under_home: &str) -> Option<PathBuf> {
        let named = self.path(variable).filter(|path| path.is_absolute());
        named.or_else(|| Some(self.home()?.join(under_home)))
    }

    /// A path made absolute: `~` is the home folder, and a relative one starts at `base`. Only UTF-8 ones, as a command
    /// could not be told to run in another.
    pub fn absolute(&self, path: &Path, base: &Path) -> Result<PathBuf, String> {
        let path = self.rooted(path, base)?;
        if path.to_str().is_some() { Ok(path) } else { Err("expected a path in UTF-8".to_owned()) }
    }

    fn rooted(&self, path: &Path, base: &Path) -> Result<PathBuf, String> {
        let mut parts = path.components();
        match parts.next().map(|first| first.as_os_str().to_string_lossy().into_owned()) {
            None => Err("expected a path; found nothing".to_owned()),
            Some(first) if first == "~" => match self.home() {
                Some(home) => Ok(home.join(parts.as_path())),
                None => Err("expected a path without `~`, as HOME is not set".to_owned()),
            },
            Some(first) if first.starts_with('~') => Err(format!("expected a full path; found `{first}`")),
            Some(_) => Ok(base.join(path)),
        }
    }

    fn home(&self) -> Option<PathBuf> {
        self.path("HOME").filter(|path| path.is_absolute())
    }
}

/// Lays the variables over the file. `API_SERVER_MODEL_NAME` and `NUNCIO_UPSTREAM_*` come later: they need the whole.
pub(super) fn apply(env: &Environment<'_>, document: &mut Document, sources: &mut Sources) -> Result<(), Problem> {
    let mut take = |name: &'static str, key: &str| {
        let value = env.get(name)?;
        if value.is_some() {
            sources.outrank(key, Origin::Variable(name));
        }
        Ok::<_, Problem>(value)
    };
    if let Some(host) = take("API_SERVER_HOST", "server.host")? {
        document.server.host = host;
    }
    if let Some(port) = take("API_SERVER_PORT", "server.port")? {
        document.server.port = port.parse().map_err(|_| {
            let message = format!("expected a whole number from 0 to 65535; found `{}`", port.escape_debug());
            Problem::of_variable("API_SERVER_PORT", message)
        })?;
    }
    if let Some(origins) = take("API_SERVER_CORS_ORIGINS", "server.cors_origins")? {
        let origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        document.server.cors_origins = origins.map(str::to_owned).collect();
    }
    if let Some(filter) = take("NUNCIO_LOG", "log.filter")? {
        document.log.filter = filter;
    }
    if let Some(folder) = env.path("NUNCIO_DATA_DIR") {
        document.data_dir = Some(folder);
        sources.outrank("data_dir", Origin::Variable("NUNCIO_DATA_DIR"));
    }
    if let Some(key) = env.get("API_SERVER_KEY")? {
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "expected a key of visible ASCII characters; a header carries no others";
            return Err(Problem::of_variable("API_SERVER_KEY", message));
        }
        let index = document.auth.set_plain(auth::ENV_PRINCIPAL, &key);
        sources.outrank(format!("auth.keys[{index}]"), Origin::Variable("API_SERVER_KEY"));
    }
    Ok(())
}

/// Where the upstreams of a configuration come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamSource {
    /// The file names some.
    Configured,
    /// The environment implies one, by this variable; it is called [`upstreams::DEFAULT`].
    Environment { variable: &'static str },
    /// There is none: the one who starts the daemon picks one, and asks it for `model` if that was set.
    Nowhere { model: Option<String> },
}

/// An upstream that the environment implies.
#[derive(Clone, Debug)]
struct Implied {
    upstream: Upstream,
    /// The variable that decided.
    by: &'static str,
    /// The variable that the base URL was read from.
    base_url_by: &'static str,
}

/// Lets `NUNCIO_UPSTREAM_*` change the upstream `default`, or finds the upstream that the environment implies.
pub(super) fn settle_upstreams(
    env: &Environment<'_>,
    configured: &mut BTreeMap<String, Upstream>,
    sources: &mut Sources,
) -> Result<UpstreamSource, Problem> {
    if !configured.is_empty() {
        change_default(env, configured, sources)?;
        return Ok(UpstreamSource::Configured);
    }
    let Some(implied) = upstream_from_env(env)? else {
        return Ok(UpstreamSource::Nowhere { model: env.get(MODEL)? });
    };
    sources.outrank("upstreams", Origin::Variable(implied.by));
    sources.outrank("upstreams.default.base_url", Origin::Variable(implied.base_url_by));
    configured.insert(upstreams::DEFAULT.to_owned(), implied.upstream);
    Ok(UpstreamSource::Environment { variable: implied.by })
}

fn upstream_from_env(env: &Environment<'_>) -> Result<Option<Implied>, Problem> {
    let implied = |by, base_url: String, base_url_by, api_key: Option<String>| {
        let model = env.get(MODEL)?.or_else(|| documented_model(&base_url).map(str::to_owned));
        let api_key = api_key.map(Into::into);
        let upstream = Upstream { base_url: Some(base_url), api_key, model, ..Upstream::default() };
        Ok(Some(Implied { upstream, by, base_url_by }))
    };
    if let Some(base_url) = env.get(BASE_URL)? {
        return implied(BASE_URL, base_url, BASE_URL, env.get(API_KEY)?);
    }
    if env.get(API_KEY)?.is_some() {
        return Err(Problem::of_variable(API_KEY, format!("expected {BASE_URL} beside it; found it alone")));
    }
    if let Some(key) = env.get("OPENAI_API_KEY")? {
        let base_url = env.get("OPENAI_BASE_URL")?.unwrap_or_else(|| OPENAI.to_owned());
        return implied("OPENAI_API_KEY", base_url, "OPENAI_BASE_URL", Some(key));
    }
    if let Some(key) = env.get("OPENROUTER_API_KEY")? {
        return implied("OPENROUTER_API_KEY", OPENROUTER.to_owned(), "OPENROUTER_API_KEY", Some(key));
    }
    Ok(None)
}

/// The model asked for when no one names one: small, not on its way out, and (unlike OpenAI's newer ones) taking tools
/// on chat completions with no further parameter.
fn documented_model(base_url: &str) -> Option<&'static str> {
    match Url::parse(base_url).ok()?.host_str()? {
        "api.openai.com" => Some("gpt-5.4-mini"),
        "openrouter.ai" => Some("openai/gpt-5.4-mini"),
        _ => None,
    }
}

fn change_default(
    env: &Environment<'_>,
    configured: &mut BTreeMap<String, Upstream>,
    sources: &mut Sources,
) -> Result<(), Problem> {
    let mut take = |name: &'static str, key: &str| {
        let value = env.get(name)?;
        if value.is_some() {
            sources.outrank(format!("upstreams.default.{key}"), Origin::Variable(name));
        }
        Ok::<_, Problem>(value)
    };
    if let Some(base_url) = take(BASE_URL, "base_url")? {
        let upstream = configured.entry(upstreams::DEFAULT.to_owned()).or_default();
        upstream.kind = UpstreamKind::OpenaiChat;
        upstream.base_url = Some(base_url);
    }
    let (api_key, model) = (take(API_KEY, "api_key")?, take(MODEL, "model")?);
    let Some(upstream) = configured.get_mut(upstreams::DEFAULT) else {
        let expected = format!("expected {BASE_URL} beside it, or an upstream named `default` in the file");
        let lonely = api_key.map(|_| API_KEY).or(model.map(|_| MODEL));
        return lonely.map_or(Ok(()), |name| Err(Problem::of_variable(name, expected)));
    };
    if let Some(key) = api_key {
        upstream.api_key = Some(key.into());
        upstream.api_key_env = None;
    }
    upstream.model = model.or_else(|| upstream.model.take());
    Ok(())
}
