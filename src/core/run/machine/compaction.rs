//! The part of the run that keeps a conversation within the model's window.

use super::{Machine, Phase, index};
use crate::core::event::{Cut, Outcome, RunEvent};
use crate::core::failure::{Failure, FailureKind};
use crate::core::run::effect::Effect;
use crate::core::run::summary::Summary;
use std::sync::Arc;

impl Machine {
    /// Whether a call failed for its length alone and is worth making again with fewer turns.
    pub(super) fn is_too_long(&mut self, failure: &Failure) -> bool {
        let left = self.tokens_left();
        failure.kind == FailureKind::ContextLength && self.window.refused(failure, left)
    }

    pub(super) fn is_compaction_due(&self) -> bool {
        self.window.sums_up() && self.window.is_compaction_due(&self.view())
    }

    /// Has the model sum up the conversation, this run's part of it included.
    pub(super) fn sum_up(&mut self, out: &mut Vec<Effect>) {
        let view = self.view();
        let compaction = match self.window.only_sums_up() {
            true => view.compaction_alone(),
            false => view.compaction_to_go_on(),
        };
        let items = self.window.show(&view.told(), None);
        self.phase = Phase::SummingUp(Summary::of(compaction));
        out.push(Effect::CallUpstream(Summary::request(items, self.window.told(), &self.params)));
    }

    pub(super) fn on_summed_up(&mut self, result: Result<(), Failure>, out: &mut Vec<Effect>) {
        if let Err(failure) = result {
            return match self.is_too_long(&failure) {
                true => self.sum_up(out),
                false => self.fail(Summary::failed(failure), out),
            };
        }
        let at = index(self.output.len());
        let Some(summary) = self.drop_summary(out) else { return };
        let item = match summary.close(self.id, at) {
            Ok(item) => Arc::new(item),
            Err(failure) => return self.fail(failure, out),
        };
        // Told at once, as half a summary must not stand for anything.
        out.push(Effect::Emit(RunEvent::ItemStarted { index: at, item: Arc::clone(&item) }));
        out.push(Effect::Emit(RunEvent::ItemDone { index: at, item: Arc::clone(&item) }));
        self.output.push(item);
        if self.window.only_sums_up() {
            return self.finish(Outcome::Completed, out);
        }
        self.call_model(out);
    }

    /// The time is over: what is left of it is for closing words, which need no summary.
    pub(super) fn on_deadline_of_summary(&mut self, out: &mut Vec<Effect>) {
        self.cut = Some(Cut::WallTime);
        out.push(Effect::Abort);
        self.drop_summary(out);
        match self.window.only_sums_up() {
            true => self.finish(Outcome::Incomplete { reason: Cut::WallTime }, out),
            false => self.call_model(out),
        }
    }

    /// Ends the call for a summary, if there is one under way, and tells what it has cost. That is no part of what the
    /// answer may cost.
    pub(super) fn drop_summary(&mut self, out: &mut Vec<Effect>) -> Option<Summary> {
        match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::SummingUp(summary) => {
                out.push(Effect::Emit(RunEvent::StepDone { usage: summary.usage }));
                Some(summary)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }
}
