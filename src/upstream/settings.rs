//! What an upstream is made from: plain values, already read and checked for type by the configuration. Their defaults
//! are the configuration's too.

use crate::core::format::FormatSupport;
use secrecy::SecretString;
use std::time::Duration;

/// One server that speaks the chat completions API.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// The name under which profiles refer to it, and which error messages show.
    pub name: String,
    /// Up to and with the version, e.g. `https://api.openai.com/v1`; without credentials or query string, as it is shown.
    pub base_url: String,
    pub api_key: Option<SecretString>,
    /// Sent with every request. Not one that the request sets itself, but for `Authorization`, which wins over `api_key`.
    /// Words of eight bytes and more are taken for secrets and out of what the server says.
    pub headers: Vec<(String, SecretString)>,
    /// To a connection, TLS included.
    pub connect_timeout: Duration,
    /// From the request to the first byte of the answer's body: the time a model may think in silence. A comment
    /// grants as much again; all comments together, ten times as much. So they do for `idle_timeout`.
    pub first_byte_timeout: Duration,
    /// Between two pieces of an answer.
    pub idle_timeout: Duration,
    /// How often a failed call is made again before the next model of the chain has its turn.
    pub max_retries: u32,
    /// The pause before the first repeat; it doubles with each, up to 8 s.
    pub retry_base_delay: Duration,
    pub max_tokens_field: MaxTokensField,
    /// What the server does about the form of an answer. `None` leaves it to what is known of the address: OpenAI itself
    /// enforces what is `strict`, others get the field and are not relied on.
    pub format_support: Option<FormatSupport>,
}

/// The name of the output limit where the client has not chosen one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_completion_tokens` for OpenAI itself, whose newer models take no other, `max_tokens` elsewhere.
    Auto,
    MaxTokens,
    MaxCompletionTokens,
}
