//! What a client keeps for us without looking into it, as `encrypted_content`: a compaction, or reasoning that a model's
//! maker has sealed. It may be kept anywhere and sent to any server of this kind.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Tells our own text from another maker's, and this form of it from later ones.
const MARK: &str = "nuncio1.";

/// It holds nothing that the client has not sent or been sent, so it is opaque and no secret.
pub fn seal(content: &impl Serialize) -> String {
    // Plain strings and structs have no error to give.
    let json = serde_json::to_vec(content).unwrap_or_default();
    format!("{MARK}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// `None` for what this server did not make, or what is damaged.
pub fn unseal<T: DeserializeOwned>(sealed: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(sealed.strip_prefix(MARK)?).ok()?;
    serde_json::from_slice(&json).ok()
}
