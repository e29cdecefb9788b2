//! What becomes of a run that nobody listens to any more.

use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It ends, down to the last process of its tools.
    #[default]
    Cancel,
    /// It goes on to its end.
    Detach,
    /// It ends unless somebody listens again within this time.
    Grace(Duration),
}

impl OnDisconnect {
    /// The longest grace: beyond that, `detach` says what is meant.
    pub const MAX_GRACE: Duration = Duration::from_secs(3600);

    /// How it is written.
    pub const FORMS: &str = "cancel, detach or grace=SECONDS with 1 to 3600 seconds";
}

impl FromStr for OnDisconnect {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "cancel" => Ok(Self::Cancel),
            "detach" => Ok(Self::Detach),
            other => {
                let seconds = other.strip_prefix("grace=").and_then(|seconds| seconds.parse().ok());
                let grace = seconds.map(Duration::from_secs);
                let grace = grace.filter(|grace| !grace.is_zero() && *grace <= Self::MAX_GRACE);
                grace.map(Self::Grace).ok_or(Self::FORMS)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_nothing_else() {
        let grace = OnDisconnect::Grace(Duration::from_secs(10));
        let good = [("cancel", OnDisconnect::Cancel), (" detach ", OnDisconnect::Detach), ("grace=10", grace)];
        for (text, policy) in good {
            assert_eq!(text.parse(), Ok(policy));
        }
        for text in ["", "Cancel", "grace", "grace=", "grace=0", "grace=-1", "grace=1.5", "grace=3601", "keep"] {
            assert_eq!(text.parse::<OnDisconnect>(), Err(OnDisconnect::FORMS), "{text}");
        }
    }
}
