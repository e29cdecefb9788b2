//! The run: a state machine from inputs to effects.

mod answer;
mod compaction;
#[cfg(test)]
mod properties;
mod resume;
#[cfg(test)]
mod tests;

use super::agent::{Agent, Offer};
use super::allowance::Allowance;
use super::demand::Demand;
use super::effect::Effect;
use super::input::{Cancel, Input, ToolDone};
use super::pending::Pending;
use super::spec::RunSpec;
use super::step::{Manner, Step};
use super::summary::Summary;
use super::view::View;
use super::window::Window;
use crate::core::event::{Cut, Outcome, RunEvent};
use crate::core::failure::{Failure, FailureKind};
use crate::core::format::OutputFormat;
use crate::core::id::RunId;
use crate::core::item::{Item, Part, Status};
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::{FinishReason, ModelRequest, ToolChoice, UpstreamEvent};
use crate::core::usage::Usage;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// One run of an agent. Feed it inputs, carry out what it returns, and it ends with one `Finished` event.
#[derive(Debug)]
pub struct Machine {
    id: RunId,
    agent: Arc<Agent>,
    input: Vec<Arc<Item>>,
    window: Window,
    offer: Offer,
    tool_choice: ToolChoice,
    params: Arc<Map<String, Value>>,
    max_output_tokens: Option<u64>,
    manner: Manner,
    allowance: Allowance,
    demand: Option<Demand>,
    /// A bad answer and what is wrong with it, once there was one: the model call under way, or the next one, mends it.
    repair: Vec<Arc<Item>>,
    /// Calls the model has made so far, to number their ids.
    calls: u32,
    /// What this run has made, in the order of the items' indexes.
    output: Vec<Arc<Item>>,
    /// Indexes of what model calls had made when a crash cut them off. The call is made again and is not told of it.
    interrupted: HashSet<u32>,
    usage: Usage,
    steps: u32,
    started: bool,
    /// A tool with effects has been started, so the client must not be led to repeat the request.
    had_effects: bool,
    /// Set once a limit is met: the model call under way, or the next one, is the last.
    cut: Option<Cut>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    New,
    Calling(Step),
    SummingUp(Summary),
    RunningTools(Pending),
    /// This is being checked. It has been shown already, unless it is held.
    Checking(String),
    Over,
}

impl Machine {
    /// Fails where the request asks for a tool that is not offered, or is longer than the model's window.
    pub fn new(id: RunId, agent: Arc<Agent>, spec: RunSpec) -> Result<Self, Failure> {
        let offer = Offer::new(&agent, &spec);
        offer.check(&spec)?;
        let demand = Demand::of(&agent, &spec);
        let window = Window::new(&agent, &spec, &offer);
        let mut params = agent.sampling.clone();
        params.extend(spec.params);
        let sampled = || ["max_completion_tokens", "max_tokens"].iter().find_map(|key| params.get(*key)?.as_u64());
        let max_output_tokens = match (spec.max_output_tokens.or_else(sampled), agent.limits.output_tokens) {
            (Some(asked), Some(allowed)) => Some(asked.min(allowed)),
            (asked, allowed) => asked.or(allowed),
        };
        window.check(&spec.input, max_output_tokens)?;
        Ok(Self {
            id,
            calls: 0,
            agent,
            input: spec.input,
            window,
            offer,
            tool_choice: spec.tool_choice,
            manner: Manner {
                one_call: params.get("parallel_tool_calls") == Some(&Value::Bool(false)),
                ..Manner::default()
            },
            allowance: Allowance::new(spec.max_tool_calls),
            params: Arc::new(params),
            max_output_tokens,
            demand,
            repair: Vec::new(),
            output: Vec::new(),
            interrupted: HashSet::new(),
            usage: Usage::default(),
            steps: 0,
            started: false,
            had_effects: false,
            cut: None,
            phase: Phase::New,
        })
    }

    /// Tells a client's call once it is whole: half a call could not be taken back after a crash.
    pub fn telling_whole_calls(mut self, whole_calls: bool) -> Self {
        self.manner.whole_calls = whole_calls;
        self
    }

    /// Takes what upstreams have said of the model's window so far.
    pub fn knowing(mut self, window: Option<u64>) -> Self {
        self.window.learn(window);
        self
    }

    /// The items this run has made so far, those of an unfinished step left out.
    pub fn output(&self) -> &[Arc<Item>] {
        &self.output
    }

    /// The form that the final answer must have, if any.
    pub fn format(&self) -> Option<&Arc<OutputFormat>> {
        self.demand.as_ref().map(|demand| &demand.format)
    }

    /// Takes one input. An input that makes no sense in the present state (a late tool result, a second cancel) does nothing.
    pub fn on(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        match input {
            Input::Submitted if matches!(self.phase, Phase::New) => self.call_model(&mut out),
            Input::Resumed(journal) if matches!(self.phase, Phase::New) => self.resume(&journal, &mut out),
            Input::Upstream(event) => self.on_upstream(event, &mut out),
            Input::UpstreamClosed(result) => self.on_closed(result, &mut out),
            Input::ToolDoing { call_id, doing } => self.on_tool_doing(&call_id, doing, &mut out),
            Input::ToolSpent(usage) if matches!(self.phase, Phase::RunningTools(_)) => {
                out.push(Effect::Emit(RunEvent::Spent { usage }));
            }
            Input::ToolDone(done) => self.on_tool(done, &mut out),
            Input::AnswerChecked(verdict) => self.on_checked(verdict, &mut out),
            Input::Cancelled(cancel) => self.stop(self.outcome_of(cancel), &mut out),
            Input::Deadline => self.on_deadline(&mut out),
            Input::Submitted | Input::Resumed(_) | Input::ToolSpent(_) => {}
        }
        out
    }

    fn call_model(&mut self, out: &mut Vec<Effect>) {
        if self.tokens_left() == Some(0) {
            return self.finish(Outcome::Incomplete { reason: Cut::OutputTokens }, out);
        }
        if !self.is_last_call() && self.is_compaction_due() {
            return self.sum_up(out);
        }
        if !self.is_last_call() && self.steps >= self.agent.limits.steps {
            self.cut = Some(Cut::Steps);
        }
        self.steps = self.steps.saturating_add(1);
        self.make_call(out);
    }

    /// Makes the model call of this step, also once more with fewer turns.
    fn make_call(&mut self, out: &mut Vec<Effect>) {
        // `required` or a named tool holds for the first call; held for every call it would never end.
        let tool_choice = if self.steps <= 1 { self.tool_choice.clone() } else { ToolChoice::Auto };
        let (tools, tool_choice) = match self.is_last_call() {
            // What would only be refused is not offered.
            false if self.allowance.is_used_up() => (self.offer.clients_alone(), tool_choice),
            false => (self.offer.specs.clone(), tool_choice),
            true => (Default::default(), ToolChoice::Auto),
        };
        let left = self.tokens_left();
        let mut items = self.window.show(&self.view(), left);
        // Behind the turns and none of them: the question must not be left out to make room for it.
        items.extend_from_slice(&self.repair);
        let manner = Manner { held: self.holds(), ..self.manner };
        self.phase = Phase::Calling(Step::new(self.id, index(self.output.len()), self.calls, manner));
        out.push(Effect::CallUpstream(ModelRequest {
            instructions: self.instructions(),
            items,
            tools,
            tool_choice,
            format: self.demand.as_ref().map(|demand| Arc::clone(&demand.format)),
            params: Arc::clone(&self.params),
            max_output_tokens: left,
        }));
    }

    /// Tokens that the answer may still have.
    fn tokens_left(&self) -> Option<u64> {
        self.max_output_tokens.map(|max| max.saturating_sub(self.usage.output))
    }

    /// The conversation as the model is to know it.
    fn view(&self) -> View {
        let output = self.output.iter().zip(0..).filter(|(_, index)| !self.interrupted.contains(index));
        View::of(&self.input.iter().chain(output.map(|(item, _)| item)).cloned().collect::<Vec<_>>())
    }

    fn instructions(&self) -> Option<Arc<str>> {
        let Some(cut) = self.cut else { return self.agent.instructions.clone() };
        let limit = match cut {
            Cut::Steps => "You have used all the steps you were given",
            _ => "The time you were given is over",
        };
        let what = match self.demand {
            None => "Say briefly what is done and what is still open.",
            Some(_) => "Answer now with what you have.",
        };
        let core = self.agent.instructions.as_deref().unwrap_or_default();
        let note = format!("{limit}, so no tools can be called any more. {what}");
        Some(format!("{core}\n\n{note}").trim_start().into())
    }

    fn on_upstream(&mut self, event: UpstreamEvent, out: &mut Vec<Effect>) {
        let last = self.is_last_call();
        if !matches!(self.phase, Phase::Calling(_) | Phase::SummingUp(_)) {
            return;
        }
        if !std::mem::replace(&mut self.started, true) {
            out.push(Effect::Emit(RunEvent::Started));
        }
        let step = match &mut self.phase {
            Phase::Calling(step) => step,
            Phase::SummingUp(summary) => return summary.on(event),
            _ => return,
        };
        if last && matches!(event, UpstreamEvent::ToolCall(_)) {
            return; // The last call was offered no tools; a model that calls one all the same gets no answer.
        }
        step.on(event, &self.offer, out);
    }

    fn on_closed(&mut self, result: Result<(), Failure>, out: &mut Vec<Effect>) {
        let step = match &self.phase {
            Phase::Calling(step) => step,
            Phase::SummingUp(_) => return self.on_summed_up(result, out),
            _ => return,
        };
        let (finish, is_silent, tokens) = (step.finish, !step.has_content(), step.usage.input);
        if let Err(failure) = result {
            // Nobody has seen anything of this call, so it can be made again.
            if is_silent && self.is_too_long(&failure) {
                return self.make_call(out);
            }
            return self.fail(failure, out);
        }
        self.window.taken(tokens);
        // Arguments that the token limit cut must not be taken for whole ones, so they are not run.
        let cut = match finish {
            Some(FinishReason::Length) => Some(Cut::OutputTokens),
            Some(FinishReason::ContentFilter) => Some(Cut::ContentFilter),
            _ => None,
        };
        // What is cut short has no form any more; its outcome says so.
        if let (Some(_), Phase::Calling(step)) = (cut, &mut self.phase) {
            step.release(out);
        }
        let items = self.close_step(if cut.is_some() { Status::Incomplete } else { Status::Completed }, out);
        if let Some(reason) = cut {
            return self.finish(Outcome::Incomplete { reason }, out);
        }
        let mut pending = Pending::new(self.id, &items, index(self.output.len()));
        if pending.is_empty() {
            return self.conclude(&items, out);
        }
        pending.start(&self.offer, &mut self.allowance, out);
        self.phase = Phase::RunningTools(pending);
        self.go_on(out);
    }

    fn on_tool_doing(&mut self, call_id: &str, doing: String, out: &mut Vec<Effect>) {
        let Phase::RunningTools(pending) = &self.phase else { return };
        let name = pending.doing(call_id, doing, out);
        self.had_effects |= name.is_some_and(|name| self.agent.with_effects.contains(name));
    }

    fn on_tool(&mut self, done: ToolDone, out: &mut Vec<Effect>) {
        let Phase::RunningTools(pending) = &mut self.phase else { return };
        match done.result {
            Ok(content) => pending.end(&done.call_id, content, false, out),
            Err(ToolError::TellModel(text)) => pending.end(&done.call_id, vec![Part::text(text)], true, out),
            Err(ToolError::Fatal(_)) => {
                let failure =
                    Failure::new(FailureKind::Internal, "A tool failed in a way that the run cannot go on from.");
                return self.fail(failure, out);
            }
        }
        self.go_on(out);
    }

    /// Leaves the tools phase once every server call has its output.
    fn go_on(&mut self, out: &mut Vec<Effect>) {
        let Phase::RunningTools(pending) = &mut self.phase else { return };
        if !pending.is_settled() {
            return;
        }
        let call_ids = pending.client_calls();
        self.output.extend(pending.take_outputs());
        if call_ids.is_empty() {
            return self.call_model(out);
        }
        out.push(Effect::Emit(RunEvent::Waiting { call_ids }));
        self.finish(Outcome::ClientTools, out);
    }

    fn on_deadline(&mut self, out: &mut Vec<Effect>) {
        let again = self.cut == Some(Cut::WallTime);
        match &mut self.phase {
            // A check takes moments, and an answer that has come in time counts.
            Phase::New | Phase::Checking(_) | Phase::Over => {}
            Phase::SummingUp(_) => self.on_deadline_of_summary(out),
            Phase::RunningTools(pending) => {
                self.cut = Some(Cut::WallTime);
                out.push(Effect::Abort);
                pending.interrupt("The run's time was over before this call ended, so its outcome is unknown.", out);
                self.go_on(out);
            }
            Phase::Calling(step) => {
                let silent = !step.has_content();
                let reason = *self.cut.get_or_insert(Cut::WallTime);
                out.push(Effect::Abort);
                if !silent {
                    step.release(out);
                }
                self.close_step(Status::Incomplete, out);
                // Closing words after a text that stops in mid-sentence would read as its end.
                if silent && !again && reason == Cut::WallTime {
                    return self.call_model(out);
                }
                self.finish(Outcome::Incomplete { reason }, out);
            }
        }
    }

    /// How this run ends when it is cancelled.
    pub fn outcome_of(&self, cancel: Cancel) -> Outcome {
        match cancel.outcome() {
            Outcome::Failed { failure } => {
                Outcome::Failed { failure: Failure { after_effects: self.had_effects, ..failure } }
            }
            outcome => outcome,
        }
    }

    fn fail(&mut self, mut failure: Failure, out: &mut Vec<Effect>) {
        failure.after_effects = self.had_effects;
        self.stop(Outcome::Failed { failure }, out);
    }

    /// Ends a run in whatever state it is, with every open item closed.
    fn stop(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        out.push(Effect::Abort);
        self.close_step(Status::Incomplete, out);
        self.drop_summary(out);
        if let Phase::RunningTools(pending) = &mut self.phase {
            pending.interrupt("The run ended before this call did, so its outcome is unknown.", out);
            self.output.extend(pending.take_outputs());
        }
        self.finish(outcome, out);
    }

    fn close_step(&mut self, status: Status, out: &mut Vec<Effect>) -> Vec<Arc<Item>> {
        let Phase::Calling(step) = &mut self.phase else { return Vec::new() };
        let items = step.close(status, &self.offer, out);
        self.usage += step.usage;
        self.calls = step.calls;
        self.output.extend(items.iter().cloned());
        out.push(Effect::Emit(RunEvent::StepDone { usage: step.usage }));
        items
    }

    fn finish(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        self.phase = Phase::Over;
        out.push(Effect::Emit(RunEvent::Finished { outcome }));
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
