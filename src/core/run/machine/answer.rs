//! The end of a run that has nothing more to do but to answer: whether the answer will do, and a second try if not.

use super::{Machine, Phase, index};
use crate::core::event::Outcome;
use crate::core::format::unfenced;
use crate::core::item::{Item, Status};
use crate::core::ports::upstream::UpstreamEvent;
use crate::core::run::demand;
use crate::core::run::effect::Effect;
use crate::core::run::step::{Manner, Step};
use std::sync::Arc;

impl Machine {
    /// Nothing but words may follow, so no tools are offered.
    pub(super) fn is_last_call(&self) -> bool {
        self.cut.is_some() || !self.repair.is_empty()
    }

    /// Whether answers are told only once they were checked.
    pub(super) fn holds(&self) -> bool {
        self.demand.as_ref().is_some_and(|demand| demand.held)
    }

    /// Ends the run with what the model has said, `items` and what is held, once that has the form it must have.
    pub(super) fn conclude(&mut self, items: &[Arc<Item>], out: &mut Vec<Effect>) {
        let (Some(_), Some(said)) = (&self.demand, demand::said(items)) else { return self.finish(self.end(), out) };
        let held = match &mut self.phase {
            Phase::Calling(step) => step.take_held(),
            _ => None,
        };
        let answer = held.map_or(said, |held| unfenced(&held).to_owned());
        out.push(Effect::CheckAnswer(answer.clone()));
        self.phase = Phase::Checking(answer);
    }

    pub(super) fn on_checked(&mut self, verdict: Result<(), String>, out: &mut Vec<Effect>) {
        let (Phase::Checking(answer), Some(demand)) = (&mut self.phase, &self.demand) else { return };
        let answer = std::mem::take(answer);
        match verdict {
            Ok(()) => {
                if demand.held {
                    self.tell(answer, out);
                }
                self.finish(self.end(), out);
            }
            Err(problem) if demand.held && self.repair.is_empty() => {
                self.repair = demand.repair(answer, &problem);
                self.call_model(out);
            }
            Err(problem) => self.fail(demand.failure(problem), out),
        }
    }

    /// Tells an answer that was held, as a step of its own: the end of that says to a journal that it is all there.
    fn tell(&mut self, answer: String, out: &mut Vec<Effect>) {
        let mut step = Step::new(self.id, index(self.output.len()), self.calls, Manner::default());
        step.on(UpstreamEvent::Text(answer), &self.offer, out);
        self.phase = Phase::Calling(step);
        self.close_step(Status::Completed, out);
    }

    /// The outcome of a run that has said all it had to say.
    fn end(&self) -> Outcome {
        self.cut.map_or(Outcome::Completed, |reason| Outcome::Incomplete { reason })
    }
}
