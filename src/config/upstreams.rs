//! `upstreams:` the services that models are called at.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{environment::Environment, error::Problems, value};

/// The upstream of profiles that name none, and the one that `NUNCIO_UPSTREAM_*` is about.
pub const DEFAULT: &str = "default";

/// The model name of a rehearsal upstream, which has no models.
pub const REHEARSAL_MODEL: &str = "rehearsal";

/// Headers that the request itself sets; one from the configuration would contradict it.
const OWN_HEADERS: [&str; 7] =
    ["accept", "connection", "content-length", "content-type", "host", "te", "transfer-encoding"];

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    pub kind: UpstreamKind,
    /// What `/chat/completions` is appended to; no slash at its end once loaded. `openai_chat` always has one.
    pub base_url: Option<String>,
    #[serde(deserialize_with = "value::secret")]
    pub api_key: Option<SecretString>,
    /// Name of the variable that `api_key` was taken from.
    pub api_key_env: Option<String>,
    /// Model of profiles that name none.
    pub model: Option<String>,
    /// Sent with every call. Secret, because some services want their key in a header of their own.
    #[serde(deserialize_with = "value::secrets")]
    pub headers: BTreeMap<String, SecretString>,
    #[serde(deserialize_with = "value::duration")]
    pub connect_timeout: Duration,
    /// From the request sent to the first byte of the answer's body.
    #[serde(deserialize_with = "value::duration")]
    pub first_byte_timeout: Duration,
    /// Between two pieces of the answer.
    #[serde(deserialize_with = "value::duration")]
    pub idle_timeout: Duration,
    /// Tries after the first one, before the profile's next fallback.
    #[serde(deserialize_with = "value::number")]
    pub max_retries: u32,
    /// Wait before the first retry; it doubles with each one, unless the upstream says how long.
    #[serde(deserialize_with = "value::duration")]
    pub retry_base_delay: Duration,
    pub max_tokens_field: MaxTokensField,
    pub structured_output: StructuredOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamKind {
    /// Chat completions over HTTP.
    OpenaiChat,
    /// Built in, no language model: answers by rule, for tests and first steps.
    Rehearsal,
}

/// Under which name the limit on output tokens is sent: OpenAI refuses the old one, many others ignore the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_completion_tokens` to api.openai.com, `max_tokens` to all others.
    Auto,
    MaxTokens,
    MaxCompletionTokens,
}

/// What the service does about the form that a client wants an answer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// By the address: api.openai.com enforces what is strict, all others are as `passed`.
    Auto,
    /// It gets the format and enforces it, so the text is shown as it comes.
    Enforced,
    /// It gets the format and is not relied on.
    Passed,
    /// It does not know the field: the model is told in words.
    Prompted,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            kind: UpstreamKind::OpenaiChat,
            base_url: None,
            api_key: None,
            api_key_env: None,
            model: None,
            headers: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(120),
            max_retries: 2,
            retry_base_delay: Duration::from_millis(500),
            max_tokens_field: MaxTokensField::Auto,
            structured_output: StructuredOutput::Auto,
        }
    }
}

impl Upstream {
    /// Fetches the key that `api_key_env` points at.
    pub(super) fn fetch_key(&mut self, at: &str, env: &Environment<'_>, problems: &mut Problems<'_>) {
        env.fetch_key(&mut self.api_key, self.api_key_env.as_deref(), at, problems);
    }

    pub(super) fn check(&self, at: &str, problems: &mut Problems<'_>) {
        let field = |name: &str| format!("{at}.{name}");
        match self.kind {
            UpstreamKind::OpenaiChat => problems.check(field("base_url"), check_base_url(self.base_url.as_deref())),
            UpstreamKind::Rehearsal => self.check_rehearsal(at, problems),
        }
        let key = self.api_key.as_ref().is_none_or(is_header_value);
        let source = if self.api_key_env.is_some() { "api_key_env" } else { "api_key" };
        problems.expect(key, field(source), "expected a key of visible ASCII characters; a header carries no others");
        problems.expect(self.model.as_deref() != Some(""), field("model"), "expected a model name; found nothing");
        for (name, value) in &self.headers {
            check_header(&value::join(&field("headers"), name), name, value, problems);
        }
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("first_byte_timeout", self.first_byte_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            problems.expect(!timeout.is_zero(), field(name), "expected more than 0");
        }
        problems.expect(self.max_retries <= 10, field("max_retries"), "expected at most 10");
    }

    fn check_rehearsal(&self, at: &str, problems: &mut Problems<'_>) {
        let given = [
            ("base_url", self.base_url.is_some()),
            ("api_key", self.api_key.is_some()),
            ("headers", !self.headers.is_empty()),
            ("structured_output", self.structured_output != StructuredOutput::Auto),
        ];
        for (name, given) in given {
            problems.expect(!given, format!("{at}.{name}"), "expected nothing: kind rehearsal calls no one");
        }
    }
}

fn is_header_value(value: &SecretString) -> bool {
    let value = value.expose_secret();
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_header(at: &str, name: &str, value: &SecretString, problems: &mut Problems<'_>) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let own = OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
    problems.expect(!name.is_empty() && name.bytes().all(token), at, "expected a header name");
    problems.expect(!own, at, "expected another header; the request sets this one itself");
    problems.expect(value.expose_secret().bytes().all(printable), at, "expected a value of printable ASCII");
}

/// The found text is shown only once it is known to hold no credentials.
fn check_base_url(text: Option<&str>) -> Result<(), String> {
    let expected = "expected an http or https URL such as https://api.openai.com/v1";
    let Some(text) = text else {
        return Err(format!("{expected}; found nothing"));
    };
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Err(expected.to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without user and password; a key belongs in `api_key`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() || url.path().contains("/chat/completions") {
        return Err(format!("{expected}, up to what comes before /chat/completions; found `{text}`"));
    }
    Ok(())
}
