//! Sealed reasoning as `encrypted_content`: a client hands it back as it is, and cannot tell that it is no cipher of ours.

use crate::core::sealed::Sealed;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Ours, and of this form. What begins otherwise is another server's.
const PREFIX: &str = "nuncio1.";

pub(super) fn seal(sealed: &Sealed) -> String {
    let json = serde_json::to_vec(sealed).unwrap_or_default();
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// `None` for what is not ours or was changed.
pub(super) fn unseal(text: &str) -> Option<Sealed> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    serde_json::from_slice(&json).ok()
}
