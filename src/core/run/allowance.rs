//! How many calls of the server's tools a run may still make.

/// A request's `max_tool_calls`, counted down over all steps of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// `None`: as many as the steps allow.
    max: Option<u64>,
    used: u64,
}

impl Allowance {
    pub fn new(max: Option<u64>) -> Self {
        Self { max, used: 0 }
    }

    pub fn is_used_up(self) -> bool {
        self.max.is_some_and(|max| self.used >= max)
    }

    /// Takes one call off, or says in words for the model why there is none left.
    pub fn take(&mut self) -> Result<(), String> {
        if self.is_used_up() {
            return Err(format!(
                "The call was not run: this request allows {} tool calls in all, and they are used up. Go on without.",
                self.used
            ));
        }
        self.used = self.used.saturating_add(1);
        Ok(())
    }
}
