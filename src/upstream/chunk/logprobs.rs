//! How likely the model found its tokens, as servers say it.

use super::lenient::objects;
use super::loose::Loose;
use crate::core::logprob::{Likely, Logprob};
use serde::Deserialize;
use serde_json::Value;

/// What OpenAI says of a token that is very unlikely; others say `null`.
const VERY_UNLIKELY: f64 = -9999.0;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct WireLogprobs {
    #[serde(deserialize_with = "objects")]
    content: Vec<WireLogprob>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireLogprob {
    #[serde(flatten)]
    token: WireLikely,
    #[serde(deserialize_with = "objects")]
    top_logprobs: Vec<WireLikely>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireLikely {
    token: Loose,
    logprob: Loose,
    bytes: Loose,
}

impl WireLogprobs {
    pub fn read(self) -> Vec<Logprob> {
        let read = |wire: WireLogprob| {
            let top_logprobs = wire.top_logprobs.into_iter().filter_map(WireLikely::read).collect();
            Some(Logprob { token: wire.token.read()?, top_logprobs })
        };
        self.content.into_iter().filter_map(read).collect()
    }
}

impl WireLikely {
    fn read(self) -> Option<Likely> {
        let Loose::Text(token) = self.token else { return None };
        let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
        let bytes = match &self.bytes {
            Loose::Other(value) => value.as_array().and_then(|bytes| bytes.iter().map(byte).collect()),
            _ => None,
        };
        // Strict clients want the bytes, and not every server has them.
        let bytes = bytes.unwrap_or_else(|| token.as_bytes().to_vec());
        Some(Likely { token, logprob: self.logprob.as_number().unwrap_or(VERY_UNLIKELY), bytes })
    }
}
