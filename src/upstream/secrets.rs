//! What a server is told in confidence, to be taken out of whatever it says in return.

use super::settings::UpstreamSettings;
use secrecy::{ExposeSecret, SecretString};
use std::cmp::Reverse;

/// Shorter words of a header are no secret (`Bearer`, a version, a team), and without them no error could be read.
const MIN_HEADER_WORD: usize = 8;

/// The key of a server, and what its configured headers hold.
#[derive(Default)]
pub struct Secrets {
    /// The longest first, as one may be part of another.
    words: Vec<SecretString>,
}

impl Secrets {
    pub fn of(settings: &UpstreamSettings) -> Self {
        let key = settings.api_key.iter().map(|key| key.expose_secret());
        let headers = settings.headers.iter().flat_map(|(_, value)| value.expose_secret().split_whitespace());
        let headers = headers.filter(|word| word.len() >= MIN_HEADER_WORD);
        let mut words: Vec<&str> = key.chain(headers).filter(|word| !word.is_empty()).collect();
        words.sort_by_key(|word| Reverse(word.len()));
        Self { words: words.into_iter().map(SecretString::from).collect() }
    }

    /// The text with a placeholder for every secret.
    pub fn redact(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, word| text.replace(word.expose_secret(), "[secret]"))
    }
}
