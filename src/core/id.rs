//! Ids of runs and of what a run makes: derived from the run's uuid, so that a replayed run gives the same ids.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use uuid::Uuid;

/// Names one run. Made outside the core (a uuid v7 needs a clock) and handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl RunId {
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    pub fn uuid(&self) -> Uuid {
        self.0
    }

    /// The id of the `number`th item of this run, e.g. `msg_0192…0003`.
    pub fn item(&self, prefix: &str, number: u32) -> String {
        format!("{prefix}_{}{number:04x}", self.0.simple())
    }

    /// The id of the `number`th tool call, in the one form that every known server takes back: 9 letters and digits
    /// (Mistral takes no other length, OpenAI none over 40). Its 53 bits come from the uuid's random part.
    pub fn call(&self, number: u32) -> String {
        // An odd factor gives each number another value, far from those of its neighbours.
        let mut rest = (self.0.as_u64_pair().1).wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let digit = |_| {
            let digit = DIGITS.get((rest % 62) as usize).copied().unwrap_or(b'0');
            rest /= 62;
            char::from(digit)
        };
        (0..9).map(digit).collect()
    }

    /// The number of the first call after all of these, which are some of this run's. A run may skip numbers, but not many.
    pub fn next_call<'a>(&self, calls: impl Iterator<Item = &'a str>) -> u32 {
        const SKIPPED: u32 = 1024;
        let known: HashSet<&str> = calls.collect();
        let most = u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(SKIPPED);
        let last = (0..most).rev().find(|number| known.contains(self.call(*number).as_str()));
        last.map_or(0, |last| last.saturating_add(1))
    }

    /// The id a client sees for the whole answer, e.g. `chatcmpl-0192…` or `resp_0192…`.
    pub fn answer(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.0.simple())
    }

    /// When it was named, in Unix seconds.
    pub fn created_at(&self) -> u64 {
        self.0.get_timestamp().map_or(0, |timestamp| timestamp.to_unix().0)
    }

    /// The run behind the id of an answer.
    pub fn of_answer(id: &str, prefix: &str) -> Option<Self> {
        let digits = id.strip_prefix(prefix).filter(|digits| digits.len() == 32)?;
        Uuid::try_parse(digits).ok().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run_{}", self.0.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_are_nine_letters_or_digits_and_differ() {
        let runs = [Uuid::nil(), Uuid::max(), Uuid::from_u128(1 << 70), Uuid::from_u128(1)];
        let ids: Vec<String> = runs.iter().flat_map(|run| (0..1000).map(|n| RunId::new(*run).call(n))).collect();
        assert!(ids.iter().all(|id| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{ids:?}");
        // The nil uuid and the one that differs above the random part share theirs.
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3000);
    }
}
