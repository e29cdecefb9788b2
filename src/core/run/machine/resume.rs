//! How a run goes on after the process that ran it has gone: what was shown stays, what is known is not done again.

use super::{Machine, Pending, Phase, index};
use crate::core::event::{Cut, Outcome, RunEvent};
use crate::core::item::{Item, Message, Status, ToolCall};
use crate::core::journal::Journal;
use crate::core::run::effect::Effect;
use crate::core::run::past::{self, Past};
use std::sync::Arc;

impl Machine {
    /// Takes up the state that the journal ends in, and goes on from there.
    pub(super) fn resume(&mut self, journal: &Journal, out: &mut Vec<Effect>) {
        let mut past = Past::of(journal);
        if self.holds() && past.last_step().is_some_and(|step| step.iter().all(|item| is_thought(item))) {
            // What it had said besides was held, and is lost.
            past.take_back_step();
        }
        (self.started, self.usage, self.steps) = (past.started, past.usage, past.steps);
        self.calls = self.id.next_call(past.calls().map(|call| call.call_id.as_str()));
        let begun = |name: &str| past.calls().any(|call| call.name == name && past.begun.contains(&call.call_id));
        self.had_effects = self.agent.with_effects.iter().any(|name| begun(name));
        self.interrupted = past.interrupted.clone();
        // What had begun was allowed.
        past.begun.iter().for_each(|_| drop(self.allowance.take()));
        out.push(Effect::Emit(RunEvent::Resumed));
        for (index, item) in past.close_summaries() {
            out.push(Effect::Emit(RunEvent::ItemDone { index, item }));
        }
        match past.last_step() {
            Some(step) => self.resume_tools(&past, &step, out),
            None => self.repeat_call(&past, out),
        }
    }

    /// The model call that was cut off is made again. What had been shown of it stays in the record.
    fn repeat_call(&mut self, past: &Past, out: &mut Vec<Effect>) {
        let mut items = past.done.clone();
        for (index, item) in &past.open {
            let (index, item) = (*index, Arc::new(past::closed(item.clone())));
            items.insert(index, Arc::clone(&item));
            out.push(Effect::Emit(RunEvent::ItemDone { index, item }));
        }
        self.output = items.into_values().collect();
        self.call_model(out);
    }

    /// The model had answered, and its calls were being run.
    fn resume_tools(&mut self, past: &Past, step: &[Arc<Item>], out: &mut Vec<Effect>) {
        let base = past.end_of_step();
        self.output = past.done.range(..base).map(|(_, item)| Arc::clone(item)).collect();
        let mut pending = Pending::new(self.id, step, index(self.output.len()));
        if pending.is_empty() {
            return self.resume_answer(step, out);
        }
        if pending.client_calls().is_empty() && pending.was_settled(past) {
            // Behind the outputs there may be a summary.
            self.output = past.done.values().cloned().collect();
            return self.call_model(out);
        }
        pending.resume(past, &self.agent.with_effects, &self.offer, &mut self.allowance, out);
        self.phase = Phase::RunningTools(pending);
        self.go_on(out);
    }

    /// The model had said all it had to say. What was held and is told all the same was found good.
    fn resume_answer(&mut self, step: &[Arc<Item>], out: &mut Vec<Effect>) {
        match outcome_of(step) {
            Outcome::Completed if !self.holds() => self.conclude(step, out),
            outcome => self.finish(outcome, out),
        }
    }
}

fn is_thought(item: &Item) -> bool {
    matches!(item, Item::Reasoning(_))
}

/// How a run ended that had nothing left to do but to say so.
fn outcome_of(step: &[Arc<Item>]) -> Outcome {
    let is_cut = |item: &Arc<Item>| match item.as_ref() {
        Item::Message(Message { status, .. }) | Item::ToolCall(ToolCall { status, .. }) => {
            *status == Status::Incomplete
        }
        _ => false,
    };
    match step.iter().any(is_cut) {
        true => Outcome::Incomplete { reason: Cut::OutputTokens },
        false => Outcome::Completed,
    }
}
