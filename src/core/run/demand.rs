//! The final answer of a run that must have a form: whether it is held back, and how a better one is asked for.

use super::agent::Agent;
use super::spec::RunSpec;
use crate::core::failure::{Failure, FailureKind};
use crate::core::format::OutputFormat;
use crate::core::item::{Item, Message, Part, Role, text_of};
use std::sync::Arc;

/// How a request to mend an answer begins.
pub const REPAIR: &str = "Your answer cannot be used:";

/// The form that the answer must have.
#[derive(Debug)]
pub(super) struct Demand {
    pub format: Arc<OutputFormat>,
    /// The upstream does not see to it, so nothing is shown before it was checked: what was shown cannot be unsaid.
    pub held: bool,
}

impl Demand {
    /// What the request asks for, or else the profile.
    pub fn of(agent: &Agent, spec: &RunSpec) -> Option<Self> {
        let format = spec.format.as_ref().or(agent.format.as_ref()).filter(|format| !format.is_text())?;
        Some(Self { format: Arc::clone(format), held: !agent.format_support.enforces(format) })
    }

    /// What goes to the model after the conversation, to get a better answer than this one. It is part of no output.
    pub fn repair(&self, answer: String, problem: &str) -> Vec<Arc<Item>> {
        let note = format!("{REPAIR} {problem}\n\nAnswer again. {}", self.format.in_words());
        let answer = Some(Message::of(Role::Assistant, answer)).filter(|answer| !text_of(&answer.content).is_empty());
        let items = answer.into_iter().chain([Message::of(Role::User, note)]);
        items.map(|message| Arc::new(Item::Message(message))).collect()
    }

    /// What a run ends with whose answer stays wrong.
    pub fn failure(&self, problem: String) -> Failure {
        let message = match self.held {
            true => "The model's answer does not have the form that was asked for, nor had the one it gave instead",
            false => {
                "The model's answer does not have the form that was asked for, though its server is trusted with it"
            }
        };
        Failure::new(FailureKind::InvalidOutput, message).saying(problem)
    }
}

/// What these items of one step say, unless it is a refusal: that is in no form but its own.
pub(super) fn said(items: &[Arc<Item>]) -> Option<String> {
    let messages = || {
        items.iter().filter_map(|item| match item.as_ref() {
            Item::Message(message) => Some(message.content.as_slice()),
            _ => None,
        })
    };
    let refuses = messages().flatten().any(|part| matches!(part, Part::Refusal { .. }));
    (!refuses).then(|| messages().map(text_of).collect())
}
