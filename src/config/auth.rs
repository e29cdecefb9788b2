//! `auth:` the keys that clients present, kept as hashes; the name of a key is the principal.

use std::{collections::BTreeSet, fmt, io};

use rustix::rand::{GetRandomFlags, getrandom};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::Error};
use sha2::{Digest, Sha256};

use super::{error::Problems, value};

/// The principal of the key in `API_SERVER_KEY`.
pub const ENV_PRINCIPAL: &str = "default";

/// No key at all means open, which only a loopback listener may be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub keys: Vec<Key>,
}

/// One client's key. Rotating it under the same name keeps the principal's data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub name: String,
    pub hash: KeyHash,
    /// Runs in flight at once with this key; `server.max_runs` holds beside it.
    #[serde(default, deserialize_with = "value::optional_number")]
    pub max_runs: Option<usize>,
    /// It is a frontend's with many users, whose word counts for which of them a request is from.
    #[serde(default)]
    pub trusted_frontend: bool,
}

/// SHA-256 of a key. Keys are long and random, so a slow, salted hash would add nothing but time to each request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    pub fn of(key: &str) -> Self {
        Self(hash_key(key))
    }
}

/// As the configuration has it: `sha256:` and 64 hex digits.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:[REDACTED]")
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut hash = [0; 32];
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        // What was found is not repeated: it may be the key itself, pasted in the wrong place.
        hex::decode_to_slice(digits, &mut hash).map_err(|_| {
            D::Error::custom("expected `sha256:` and 64 hex digits, as `nuncio key new NAME` prints them")
        })?;
        Ok(Self(hash))
    }
}

/// The hash under which a key is kept and looked up.
pub fn hash_key(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// A new key: `nk-` and 64 hex digits of the operating system's randomness.
pub fn generate_key() -> io::Result<SecretString> {
    let mut random = [0_u8; 32];
    let filled = rustix::io::retry_on_intr(|| getrandom(&mut random, GetRandomFlags::empty()))?;
    if filled != random.len() {
        return Err(io::Error::other("the operating system gave too few random bytes"));
    }
    Ok(format!("nk-{}", hex::encode(random)).into())
}

/// The line for `auth.keys` that lets this key in. The name is quoted: a bare `null` or `123` is no text in YAML.
pub fn config_line(name: &str, key: &SecretString) -> String {
    format!("- {{name: \"{name}\", hash: \"{}\"}}", KeyHash::of(key.expose_secret()))
}

/// Takes a principal's name from the command line.
pub fn parse_name(name: &str) -> Result<String, String> {
    value::check_name(name).map(|()| name.to_owned())
}

impl Auth {
    /// Gives the principal of that name a key in plain text, its limits left as they are, or makes one at the end;
    /// returns its position.
    pub(super) fn set_plain(&mut self, name: &str, key: &str) -> usize {
        let hash = KeyHash::of(key);
        // Not removed and appended: the problems of the keys after it would then name the wrong lines.
        let index = self.keys.iter().position(|known| known.name == name);
        match index.and_then(|index| self.keys.get_mut(index)) {
            Some(known) => known.hash = hash,
            None => self.keys.push(Key { name: name.to_owned(), hash, max_runs: None, trusted_frontend: false }),
        }
        index.unwrap_or(self.keys.len() - 1)
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let (mut names, mut hashes) = (BTreeSet::new(), BTreeSet::new());
        for (index, key) in self.keys.iter().enumerate() {
            let at = |field: &str| format!("auth.keys[{index}].{field}");
            problems.check(at("name"), value::check_name(&key.name));
            problems.expect(names.insert(&key.name), at("name"), "expected a name of its own; an earlier key has it");
            let own_hash = "expected a key of its own; an earlier name has the same, so it would be unclear who calls";
            problems.expect(hashes.insert(key.hash), at("hash"), own_hash);
            problems.expect(key.max_runs != Some(0), at("max_runs"), "expected more than 0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_let_in_by_the_line_printed_with_it() {
        let (key, other) = (generate_key().unwrap(), generate_key().unwrap());
        assert_ne!(key.expose_secret(), other.expose_secret());
        assert_eq!(key.expose_secret().len(), "nk-".len() + 64);

        let keys: Vec<Key> = serde_saphyr::from_str(&config_line("null", &key)).unwrap();
        let hash = KeyHash(hash_key(key.expose_secret()));
        let expected = Key { name: "null".into(), hash, max_runs: None, trusted_frontend: false };
        assert_eq!(keys, [expected]);
    }

    #[test]
    fn the_hash_is_plain_sha256() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyHash::of("abc").to_string(), abc);
        assert_eq!(format!("{:?}", KeyHash::of("abc")), "sha256:[REDACTED]");
    }
}
