//! The rehearsal: a stand-in for a language model that plays a script found in the last user message. It is compiled
//! in, needs no network, and gives the same answer to the same request every time. `docs/rehearsal.md` has the grammar.

mod answer;
mod player;
mod script;
mod turn;

use crate::core::ports::upstream::{ModelRequest, ToolChoice, Upstream, UpstreamStream};
use script::{Action, Script, Shape};
use turn::Turn;

/// The built-in upstream. It holds no state: where a script stands is read off the request.
pub struct Rehearsal;

impl Upstream for Rehearsal {
    fn call(&self, request: ModelRequest) -> UpstreamStream {
        player::play(plan(&request), &request)
    }
}

/// What to do in this call.
fn plan(request: &ModelRequest) -> Vec<Action> {
    let turn = Turn::of(&request.items);
    let tools_off = request.tools.is_empty() || request.tool_choice == ToolChoice::None;
    if tools_off && let Some(answer) = answer::housekeeping(request, &turn.question) {
        return vec![Action::say(answer)];
    }
    if let Some(summary) = answer::sum_up(request) {
        return vec![Action::say(summary)];
    }
    let steps = match script::parse(&turn.question) {
        Script::Steps(steps) => steps,
        Script::Wrong(problem) => return vec![Action::say(problem)],
        Script::None => return improvise(request, &turn, tools_off),
    };
    if turn.mends
        && let Some(mended) = steps.iter().flatten().find_map(Action::mended)
    {
        return vec![Action::say(mended)];
    }
    let total = steps.len();
    let Some(step) = steps.into_iter().nth(turn.steps) else { return vec![Action::say(answer::summary(&turn))] };
    let cannot = |action: &Action| tools_off && matches!(action, Action::Call { shape, .. } if !shape.unasked);
    if turn.steps > 0 && step.iter().any(cannot) {
        return vec![Action::say(answer::where_it_stands(&turn, total))];
    }
    step.into_iter()
        .map(|action| match action {
            Action::Call { name, .. } if cannot(&action) => Action::say(answer::no_tools(&name)),
            action => action,
        })
        .collect()
}

/// An answer to a message that is no script.
fn improvise(request: &ModelRequest, turn: &Turn<'_>, tools_off: bool) -> Vec<Action> {
    let demanded = match &request.tool_choice {
        ToolChoice::Function(name) => Some(name),
        ToolChoice::Required => request.tools.first().map(|tool| &tool.name),
        ToolChoice::Auto | ToolChoice::None => None,
    };
    match demanded {
        _ if turn.steps > 0 => vec![Action::say(answer::summary(turn))],
        Some(name) if !tools_off => {
            vec![Action::Call { name: name.clone(), arguments: "{}".to_owned(), shape: Shape::default() }]
        }
        _ => vec![Action::say(answer::introduction())],
    }
}

#[cfg(test)]
mod tests;
