//! Values that people write in words (`30s`, `20MiB`, a name, a secret), and how a key path is spelled.

use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

use crate::core::run::OnDisconnect;
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// The longest duration taken, so that adding one to a clock never overflows.
const LONGEST: Duration = Duration::from_secs(8760 * 3600);

const DURATION: &str = "expected a duration such as 500ms, 30s, 10m or 2h, at most 8760h";
const SIZE: &str = "expected a size such as 32KiB, 20MiB, 1GiB or a number of bytes";
const ON_DISCONNECT: &str = "expected cancel, detach or grace=SECONDS with 1 to 3600 seconds";
const NAME: &str = "expected 1 to 64 of A-Z a-z 0-9 . _ -";

/// Reads `500ms`, `30s`, `10m` or `2h`; the error says what was expected and found.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let read = |text: &str| {
        let (number, unit) = number_and_unit(text)?;
        let duration = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        (duration <= LONGEST).then_some(duration)
    };
    read(text).ok_or_else(|| format!("{DURATION}; found `{text}`"))
}

/// Reads `32KiB`, `20MiB`, `1GiB` or plain bytes; the error says what was expected and found.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let read = |text: &str| {
        let (number, unit) = number_and_unit(text)?;
        let scale: u64 = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        usize::try_from(number.checked_mul(scale)?).ok()
    };
    read(text).ok_or_else(|| format!("{SIZE}; found `{text}`"))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Spells a duration the way [`parse_duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    let (secs, millis) = (duration.as_secs(), duration.as_millis());
    match () {
        () if duration.subsec_millis() != 0 => format!("{millis}ms"),
        () if secs > 0 && secs % 3600 == 0 => format!("{}h", secs / 3600),
        () if secs > 0 && secs % 60 == 0 => format!("{}m", secs / 60),
        () => format!("{secs}s"),
    }
}

/// Checks a name that ends up in logs, folders and other keys: of a principal, of an upstream.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!("{NAME}; found `{}`", name.escape_debug()))
}

/// The path of `name` under `parent`, quoted where a dot in it would mislead: `profiles."gpt-4.1"`.
pub(super) fn join(parent: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let quoted = name.is_empty() || !name.chars().all(plain);
    match (parent, quoted) {
        ("", false) => name.to_owned(),
        ("", true) => format!("{name:?}"),
        (parent, false) => format!("{parent}.{name}"),
        (parent, true) => format!("{parent}.{name:?}"),
    }
}

/// The path one step up, as [`join`] and `[index]` built it; `None` above the root.
pub(super) fn parent(path: &str) -> Option<&str> {
    let cut = match path.chars().next_back()? {
        ']' => path.rfind('[')?,
        '"' => path.rfind(".\"").unwrap_or(0),
        _ => path.rfind('.').unwrap_or(0),
    };
    path.get(..cut)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(Words { expected: DURATION, parse: parse_duration })
}

pub(super) fn optional_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    struct Given(Duration);
    impl<'de> Deserialize<'de> for Given {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            duration(from).map(Self)
        }
    }
    Ok(Option::<Given>::deserialize(from)?.map(|Given(duration)| duration))
}

pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    from.deserialize_any(Words { expected: SIZE, parse: parse_size })
}

/// Reads a policy of its own grammar.
pub(super) fn on_disconnect<'de, D: Deserializer<'de>>(from: D) -> Result<OnDisconnect, D::Error> {
    let parse = |text: &str| text.parse().map_err(|_| format!("{ON_DISCONNECT}; found `{}`", text.escape_debug()));
    from.deserialize_any(Words { expected: ON_DISCONNECT, parse })
}

pub(super) fn number<'de, T: Whole, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Number::deserialize(from).map(|Number(number)| number)
}

pub(super) fn optional_number<'de, T: Whole, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Number<T>>::deserialize(from)?.map(|Number(number)| number))
}

/// Reads a value in words, which may be a bare number.
struct Words<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Words<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected.trim_start_matches("expected "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

/// The kinds of number there are settings of.
pub(super) trait Whole: TryFrom<u64> {
    const EXPECTED: &'static str;
}

impl Whole for u16 {
    const EXPECTED: &'static str = "a whole number from 0 to 65535";
}

impl Whole for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
}

impl Whole for usize {
    const EXPECTED: &'static str = "a whole number of 0 or more";
}

/// A number that is written as one: left to itself the parser takes a text in quotes too.
struct Number<T>(T);

impl<'de, T: Whole> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor(PhantomData))
    }
}

struct NumberVisitor<T>(PhantomData<T>);

impl<T: Whole> Visitor<'_> for NumberVisitor<T> {
    type Value = Number<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number<T>, E> {
        let fits = T::try_from(number).map(Number);
        fits.map_err(|_| E::custom(format!("expected {}; found {number}", T::EXPECTED)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number<T>, E> {
        // Negative, as all others come as a u64.
        Err(E::custom(format!("expected {}; found {number}", T::EXPECTED)))
    }
}

pub(super) fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

pub(super) fn secrets<'de, D>(from: D) -> Result<BTreeMap<String, SecretString>, D::Error>
where
    D: Deserializer<'de>,
{
    let plain = BTreeMap::<String, String>::deserialize(from)?;
    Ok(plain.into_iter().map(|(name, value)| (name, value.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_alike() {
        for text in ["0s", "500ms", "1500ms", "30s", "10m", "2h", "8760h"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        for bad in
            ["", "30", "s", "-1s", "1.5s", "1d", "1 s s", "8761h", "99999999999999999999s", "9999999999999999999h"]
        {
            assert!(parse_duration(bad).unwrap_err().ends_with(&format!("found `{bad}`")));
        }
    }

    #[test]
    fn sizes_are_binary_or_plain_bytes() {
        let read = ["7", "32KiB", "20 MiB", "1GiB"].map(|text| parse_size(text).unwrap());
        assert_eq!(read, [7, 32 << 10, 20 << 20, 1 << 30]);
        for bad in ["", "MiB", "20MB", "20mib", "-1", "1.5GiB", "99999999999GiB"] {
            assert!(parse_size(bad).unwrap_err().ends_with(&format!("found `{bad}`")));
        }
    }

    #[test]
    fn a_path_leads_back_to_the_root() {
        let path = join(&format!("{}[2]", join(&join("", "profiles"), "gpt-4.1")), "model");
        let up: Vec<_> = std::iter::successors(Some(path.as_str()), |path| parent(path)).collect();
        let expected =
            [r#"profiles."gpt-4.1"[2].model"#, r#"profiles."gpt-4.1"[2]"#, r#"profiles."gpt-4.1""#, "profiles", ""];
        assert_eq!(up, expected);
    }
}
