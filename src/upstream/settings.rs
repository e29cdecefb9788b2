//! What an upstream is made from: plain values, already read and checked for type by the configuration.

use secrecy::SecretString;
use std::time::Duration;

/// One server that speaks the chat completions API.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// The name under which profiles refer to it, and which error messages show.
    pub name: String,
    /// Up to and with the version, e.g. `https://api.openai.com/v1`. A query string is kept.
    pub base_url: String,
    pub api_key: Option<SecretString>,
    /// Sent with every request; may replace any header of ours, `Authorization` included.
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
}

/// The name of the output limit where the client has not chosen one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_completion_tokens` for OpenAI itself, whose newer models take no other, `max_tokens` elsewhere.
    #[default]
    Auto,
    MaxTokens,
    MaxCompletionTokens,
}

impl UpstreamSettings {
    /// A server without a key, with the times and retries that suit most.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            api_key: None,
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(120),
            max_retries: 2,
            retry_base_delay: Duration::from_millis(500),
            max_tokens_field: MaxTokensField::Auto,
        }
    }
}
