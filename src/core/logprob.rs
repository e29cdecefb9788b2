//! How likely a model found the tokens that it wrote.

use serde::{Deserialize, Serialize};

/// A token of a text, in the form that both dialects have for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    #[serde(flatten)]
    pub token: Likely,
    /// The likeliest tokens at this place, as many as were asked for.
    pub top_logprobs: Vec<Likely>,
}

/// A token and the logarithm of its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Likely {
    pub token: String,
    pub logprob: f64,
    /// The token's own bytes: a character may be spread over several tokens, and then its text is no more than a hint.
    pub bytes: Vec<u8>,
}

impl Logprob {
    /// Bytes of memory, about.
    pub fn weight(&self) -> usize {
        let likely = |one: &Likely| one.token.len().saturating_add(one.bytes.len()).saturating_add(size_of::<Likely>());
        self.top_logprobs.iter().map(likely).fold(likely(&self.token), usize::saturating_add)
    }
}
