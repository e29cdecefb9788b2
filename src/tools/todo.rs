//! `todo`: the plan of a run. A call states all of it, so the last call is the plan and nothing is kept besides: it is in
//! the run's journal and in the conversation, and outlives a crash with them.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::tools::{file_tool, schema, text};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub const NAME: &str = "todo";

const DESCRIPTION: &str = "Keeps the plan of a task that takes several steps, and shows the user how far you are. Each call \
    states the whole plan, done steps included, and replaces the one before. State it before you begin, and again whenever \
    a step is begun or done, with the one you are at as in_progress. Not for a task of a step or two.";

/// More than anybody follows.
const MAX_STEPS: usize = 50;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The steps, in order.
    steps: Vec<Step>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// What is to be done, in a few words.
    text: String,
    /// Whether it is done.
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Done,
}

pub struct Todo {
    spec: ToolSpec,
}

impl Default for Todo {
    fn default() -> Self {
        Self { spec: schema::spec::<Arguments>(NAME, DESCRIPTION) }
    }
}

impl Tool for Todo {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// Nothing but the conversation knows of it, so a request that is made again does no harm.
    fn annotations(&self) -> Annotations {
        Annotations::READ_ONLY
    }

    fn summary(&self, arguments: &Value) -> String {
        let plan = schema::parse::<Arguments>(arguments.clone()).map(|arguments| Plan::of(&arguments.steps).line());
        text::summary(&plan.unwrap_or_default())
    }

    fn call(&self, arguments: Value, _: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let stated = schema::parse::<Arguments>(arguments).and_then(|Arguments { steps }| match steps.len() {
            0..=MAX_STEPS => Ok(file_tool::answer(Plan::of(&steps).answer())),
            many => Err(ToolError::TellModel(format!("A plan of {many} steps is none: state at most {MAX_STEPS}."))),
        });
        Box::pin(std::future::ready(stated))
    }
}

/// How far a plan is.
struct Plan<'a> {
    done: usize,
    all: usize,
    /// The step at hand, or the one to be begun.
    next: Option<&'a str>,
}

impl<'a> Plan<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let with = |status| steps.iter().filter(move |step| step.status == status);
        let next = with(Status::InProgress).chain(with(Status::Pending)).next();
        Self { done: with(Status::Done).count(), all: steps.len(), next: next.map(|step| step.text.as_str()) }
    }

    /// `2/5: write the tests` while the second step of five is at hand.
    fn line(&self) -> String {
        match (self.next, self.all) {
            (_, 0) => "no steps".to_owned(),
            (None, all) => format!("{all}/{all}: done"),
            (Some(next), all) => format!("{}/{all}: {next}", self.done + 1),
        }
    }

    fn answer(&self) -> String {
        match (self.next, self.all) {
            (_, 0) => "There is no plan any more.".to_owned(),
            (None, _) => "All steps are done.".to_owned(),
            (Some(next), all) => format!("{} of {all} steps done. Next: {next}", self.done),
        }
    }
}
