//! The room there is for a conversation: how much of it goes into a model call, and when it is time to sum it up.

use super::agent::{Agent, Offer};
use super::spec::{Compaction, RunSpec, Truncation};
use super::view::{Shown, View};
use crate::core::estimate;
use crate::core::failure::{Failure, FailureKind};
use crate::core::item::Item;
use std::sync::Arc;

/// Tokens left free for an answer whose length nobody has limited.
const USUAL_ANSWER: u64 = 4096;

/// How often a call that was refused for its length is made again with fewer turns.
const MAX_REFUSALS: u32 = 4;

/// The bounds of what one estimated token may be in truth; beyond them the count is not one of the same text.
const SCALE: (f64, f64) = (0.7, 4.0);

#[derive(Debug)]
pub(super) struct Window {
    truncation: Truncation,
    compaction: Option<Compaction>,
    /// What the operator says the model takes. What does not fit it is not even tried.
    configured: Option<u64>,
    /// What the model takes, as far as anyone has said.
    size: Option<u64>,
    /// What goes with every call besides the conversation, by estimate.
    overhead: u64,
    /// Tokens in truth for one of the estimate.
    scale: f64,
    /// Calls must stay below this, because as much was refused.
    ceiling: Option<u64>,
    refusals: u32,
    sent: Sent,
}

/// The last call.
#[derive(Debug, Default)]
struct Sent {
    /// By estimate, the overhead included; 0 where no estimate was made.
    tokens: u64,
    /// Nothing more could have been left out.
    was_least: bool,
}

impl Window {
    pub fn new(agent: &Agent, spec: &RunSpec, offer: &Offer) -> Self {
        let (configured, truncation, compaction) = (agent.context_window, spec.truncation, spec.compaction.clone());
        let mut window = Self {
            truncation,
            compaction,
            configured,
            size: configured,
            overhead: 0,
            scale: 1.0,
            ceiling: None,
            refusals: 0,
            sent: Sent::default(),
        };
        if window.is_measured() || configured.is_some() {
            window.overhead = estimate::of_offer(agent.instructions.as_deref(), &offer.specs);
        }
        window
    }

    /// Takes what upstreams have said of the model's window, where the operator has said nothing.
    pub fn learn(&mut self, size: Option<u64>) {
        self.size = self.size.or(size);
    }

    /// Estimates take time with long conversations, so each call is measured only where something depends on it.
    fn is_measured(&self) -> bool {
        self.truncation == Truncation::Auto || self.compaction.is_some()
    }

    /// Fails for a conversation that is longer than the window the operator has set.
    pub fn check(&self, input: &[Arc<Item>], answer: Option<u64>) -> Result<(), Failure> {
        let Some(size) = self.configured else { return Ok(()) };
        let tokens = self.real(self.fit(&View::of(input), answer).tokens);
        if tokens <= size {
            return Ok(());
        }
        let shortened = match self.truncation {
            Truncation::Auto => " even with its oldest turns left out",
            Truncation::Disabled => "",
        };
        let message = format!(
            "The conversation has about {tokens} tokens{shortened}, by this server's estimate, and the model takes {size}."
        );
        Err(Failure::new(FailureKind::ContextLength, message))
    }

    /// What of a conversation the next call shows. `answer` is what it may write, where that is limited.
    pub fn show(&mut self, view: &View, answer: Option<u64>) -> Vec<Arc<Item>> {
        if !self.is_measured() {
            return view.items();
        }
        let shown = self.fit(view, answer);
        self.sent = Sent { tokens: shown.tokens.saturating_add(self.overhead), was_least: shown.is_least };
        shown.items
    }

    fn fit(&self, view: &View, answer: Option<u64>) -> Shown {
        let room = self.room(answer).filter(|_| self.truncation == Truncation::Auto);
        view.fit(|tokens| room.is_none_or(|room| self.real(tokens) <= room))
    }

    /// Tokens that a call may have, by all that is known.
    fn room(&self, answer: Option<u64>) -> Option<u64> {
        let beside_answer = |size: u64| size.saturating_sub(answer.unwrap_or(USUAL_ANSWER).min(size / 2));
        self.size.map(beside_answer).into_iter().chain(self.ceiling).min()
    }

    /// Tokens in truth of a conversation, with what goes with it.
    fn real(&self, tokens: u64) -> u64 {
        self.scaled(tokens.saturating_add(self.overhead))
    }

    fn scaled(&self, tokens: u64) -> u64 {
        (tokens as f64 * self.scale).ceil() as u64
    }

    /// The last call was refused for its length. Says whether to make it again, with fewer turns.
    pub fn refused(&mut self, failure: &Failure, answer: Option<u64>) -> bool {
        if self.truncation == Truncation::Disabled || self.sent.was_least || self.refusals >= MAX_REFUSALS {
            return false;
        }
        self.refusals = self.refusals.saturating_add(1);
        let said = failure.overflow.as_deref().copied().unwrap_or_default();
        // Whoever refuses knows best.
        self.size = said.window.or(self.size);
        if let Some(tokens) = said.tokens {
            self.scale = self.scale.max(self.scale_of(tokens));
        }
        let refused = self.scaled(self.sent.tokens);
        if self.room(answer).is_none_or(|room| room >= refused) {
            // The numbers, if there are any, do not explain it.
            self.ceiling = Some(refused / 4 * 3);
        }
        true
    }

    /// The last call was taken, and had this many tokens in truth; 0 where the upstream did not say.
    pub fn taken(&mut self, tokens: u64) {
        self.refusals = 0;
        if tokens > 0 && self.sent.tokens > 0 {
            self.scale = self.scale_of(tokens);
        }
    }

    fn scale_of(&self, tokens: u64) -> f64 {
        (tokens as f64 / self.sent.tokens.max(1) as f64).clamp(SCALE.0, SCALE.1)
    }

    pub fn sums_up(&self) -> bool {
        self.compaction.is_some()
    }

    /// The run is nothing but a compaction.
    pub fn only_sums_up(&self) -> bool {
        matches!(self.compaction, Some(Compaction::Only { .. }))
    }

    /// Whether the conversation is to be summed up now. Where a summary could replace only a small part of it, it would
    /// soon be due again.
    pub fn is_compaction_due(&self, view: &View) -> bool {
        let threshold = match &self.compaction {
            None => return false,
            Some(Compaction::Only { .. }) => return true,
            Some(Compaction::At(tokens)) => *tokens,
            Some(Compaction::NearlyFull) => match self.size {
                Some(size) => size / 5 * 4,
                None => return false,
            },
        };
        let tokens = view.tokens().saturating_add(self.overhead);
        self.scaled(tokens) >= threshold && view.replaceable_tokens() >= tokens / 4
    }

    /// What the model is told in a conversation that is nothing but summed up.
    pub fn told(&self) -> Option<&str> {
        match &self.compaction {
            Some(Compaction::Only { told }) => told.as_deref(),
            _ => None,
        }
    }
}

/// Tokens that the first model call of such a run has, by estimate, if nothing of the conversation is left out.
pub fn input_tokens(agent: &Agent, spec: &RunSpec) -> u64 {
    let overhead = estimate::of_offer(agent.instructions.as_deref(), &Offer::new(agent, spec).specs);
    View::of(&spec.input).tokens().saturating_add(overhead)
}
