//! A compaction as a client holds it: sealed text, which may be kept anywhere and sent to any server of this kind.

use crate::core::item::Compaction;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Tells our own text from another maker's, and this form of it from later ones.
const MARK: &str = "nuncio1.";

/// What goes into the `encrypted_content` of an item. It holds nothing that the client has not sent or been sent, so it
/// is opaque and no secret.
pub fn seal(compaction: &Compaction) -> String {
    // Plain strings and structs have no error to give.
    let json = serde_json::to_vec(compaction).unwrap_or_default();
    format!("{MARK}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// `None` for what this server did not make, or what is damaged.
pub fn open(sealed: &str) -> Option<Compaction> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(sealed.strip_prefix(MARK)?).ok()?;
    serde_json::from_slice(&json).ok()
}
