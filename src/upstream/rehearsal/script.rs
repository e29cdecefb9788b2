//! The grammar of scripts: one directive a line, `|` lines continue it, `then` waits for the tools.

use super::answer::Echo;
use crate::core::ports::upstream::FinishReason;
use serde_json::json;
use std::time::Duration;

/// What a message is to the rehearsal.
#[derive(Debug, PartialEq)]
pub enum Script {
    /// Its first line is no directive.
    None,
    /// A script with a mistake, and what to say of it.
    Wrong(String),
    Steps(Vec<Vec<Action>>),
}

/// One thing to do. The first that yields something also opens the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Say {
        voice: Voice,
        text: String,
    },
    Count {
        to: u32,
        pause: Duration,
    },
    Echo(Echo),
    /// What is said instead of all else when a better answer is asked for.
    Mend(String),
    Call {
        name: String,
        arguments: String,
        shape: Shape,
    },
    Open,
    Wait(Duration),
    Stall,
    Cut,
    Fail(Fault),
    Finish(FinishReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    Text,
    Reasoning,
    Refusal,
}

/// What a failing call fails with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub context_length: bool,
}

/// How calls look on the wire; real servers do all of this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub fragments: bool,
    pub no_ids: bool,
    pub no_index: bool,
    pub same_index: bool,
    /// The call is made although no tools are offered.
    pub unasked: bool,
}

/// Bounds what one line can ask for.
const MAX_COUNT: u32 = 10_000_000;

impl Action {
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say { voice: Voice::Text, text: text.into() }
    }

    pub fn mended(&self) -> Option<&str> {
        match self {
            Self::Mend(text) => Some(text),
            _ => None,
        }
    }

    fn call(name: &str, arguments: String, shape: Shape) -> Self {
        Self::Call { name: name.to_owned(), arguments, shape }
    }
}

/// A directive with its continuation, and the number of its line.
struct Line<'a> {
    number: usize,
    word: String,
    rest: &'a str,
    /// The `|` lines below it, each with its line break.
    more: String,
}

/// Reads a message as a script.
pub fn parse(message: &str) -> Script {
    let lines = match lines(message) {
        Ok(lines) if lines.is_empty() => return Script::None,
        Ok(lines) => lines,
        Err(problem) => return Script::Wrong(problem),
    };
    let (mut steps, mut step, mut shape) = (Vec::new(), Vec::new(), Shape::default());
    for line in lines {
        let read = match line.word.as_str() {
            "then" if step.iter().any(|action| matches!(action, Action::Call { .. })) => {
                steps.push(std::mem::take(&mut step));
                shape = Shape::default();
                Ok(())
            }
            "then" => Err("nothing can follow a step that calls no tool".to_owned()),
            "shape" => read_shape(line.rest).map(|words| shape = words),
            _ => action(&line, shape).map(|action| step.push(action)),
        };
        if let Err(problem) = read {
            return Script::Wrong(wrong(line.number, &problem));
        }
    }
    if !step.is_empty() {
        steps.push(step);
    }
    Script::Steps(steps)
}

fn wrong(line: usize, problem: &str) -> String {
    format!("The script is wrong in line {line}: {problem}.")
}

/// The directives of a message; none if it does not begin with one.
fn lines(message: &str) -> Result<Vec<Line<'_>>, String> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (number, text) in (1..).zip(message.lines()) {
        let trimmed = text.trim();
        if let (Some(more), Some(line)) = (text.trim_start().strip_prefix('|'), lines.last_mut()) {
            line.more.push_str(more.strip_prefix(' ').unwrap_or(more));
            line.more.push('\n');
        } else if let Some((word, rest)) = directive(trimmed) {
            lines.push(Line { number, word, rest, more: String::new() });
        } else if lines.is_empty() && !trimmed.is_empty() {
            return Ok(lines);
        } else if !trimmed.is_empty() {
            return Err(wrong(number, "this is no directive (see docs/rehearsal.md)"));
        }
    }
    Ok(lines)
}

fn directive(line: &str) -> Option<(String, &str)> {
    const WITH_REST: [&str; 14] = [
        "say", "think", "refuse", "count", "echo", "mend", "run", "read", "write", "call", "shape", "wait", "fail",
        "finish",
    ];
    const BARE: [&str; 4] = ["then", "open", "stall", "cut"];
    let (word, rest) = line.split_once(':').map_or((line, None), |(word, rest)| (word, Some(rest.trim())));
    let word = word.trim().to_lowercase();
    match rest {
        Some(rest) if WITH_REST.contains(&word.as_str()) => Some((word, rest)),
        None if BARE.contains(&word.as_str()) => Some((word, "")),
        _ => None,
    }
}

fn action(line: &Line<'_>, shape: Shape) -> Result<Action, String> {
    let text = || match line.more.trim_end_matches('\n') {
        "" => line.rest.to_owned(),
        more if line.rest.is_empty() => more.to_owned(),
        more => format!("{}\n{more}", line.rest),
    };
    let say = |voice| Ok(Action::Say { voice, text: text() });
    let needed = |what: &str| if text().is_empty() { Err(format!("expected {what}")) } else { Ok(text()) };
    match line.word.as_str() {
        "say" => say(Voice::Text),
        "think" => say(Voice::Reasoning),
        "refuse" => say(Voice::Refusal),
        "mend" => Ok(Action::Mend(text())),
        "count" => count(line.rest),
        "echo" => Echo::named(line.rest).map(Action::Echo),
        "run" => Ok(Action::call("terminal", json!({"command": needed("a command")?}).to_string(), shape)),
        "read" => Ok(Action::call("read_file", json!({"path": needed("a path")?}).to_string(), shape)),
        "write" if line.rest.is_empty() => {
            Err("expected a path, and the content in lines that begin with |".to_owned())
        }
        "write" => {
            let arguments = json!({"path": line.rest, "content": line.more});
            Ok(Action::call("write_file", arguments.to_string(), shape))
        }
        "call" => {
            let text = needed("a tool's name and its arguments")?;
            let (name, arguments) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
            Ok(Action::call(name, arguments.trim().to_owned(), shape))
        }
        "open" => Ok(Action::Open),
        "wait" => duration(line.rest).map(Action::Wait),
        "stall" => Ok(Action::Stall),
        "cut" => Ok(Action::Cut),
        "fail" => fault(line.rest).map(Action::Fail),
        _ => finish(line.rest).map(Action::Finish),
    }
}

fn count(rest: &str) -> Result<Action, String> {
    let (to, pause) = rest.split_once(char::is_whitespace).unwrap_or((rest, "0s"));
    let to = to.parse().ok().filter(|&to| to <= MAX_COUNT);
    let to = to.ok_or_else(|| format!("expected a number up to {MAX_COUNT}, and perhaps a pause like 50ms"))?;
    Ok(Action::Count { to, pause: duration(pause.trim())? })
}

/// `250ms` or `1.5s`, up to an hour.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => ("", 1.0),
    };
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * unit);
    let seconds = seconds.filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected a time like 250ms or 1.5s, up to an hour".to_owned())
}

fn fault(rest: &str) -> Result<Fault, String> {
    let expected = || "expected a status from 400 to 599, and perhaps seconds for Retry-After; or context".to_owned();
    if rest == "context" {
        return Ok(Fault { status: 400, retry_after: None, context_length: true });
    }
    let (status, seconds) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let status = status.parse().ok().filter(|status| (400..600).contains(status)).ok_or_else(expected)?;
    let retry_after = match seconds.trim() {
        "" => None,
        seconds => Some(seconds.parse().map_err(|_| expected())?),
    };
    Ok(Fault { status, retry_after, context_length: false })
}

fn finish(rest: &str) -> Result<FinishReason, String> {
    match rest {
        "stop" => Ok(FinishReason::Stop),
        "tool_calls" => Ok(FinishReason::ToolCalls),
        "length" => Ok(FinishReason::Length),
        "content_filter" => Ok(FinishReason::ContentFilter),
        _ => Err("expected stop, tool_calls, length or content_filter".to_owned()),
    }
}

fn read_shape(rest: &str) -> Result<Shape, String> {
    let mut shape = Shape::default();
    for word in rest.split_whitespace() {
        match word {
            "whole" => shape = Shape::default(),
            "fragments" => shape.fragments = true,
            "no-ids" => shape.no_ids = true,
            "no-index" => shape.no_index = true,
            "same-index" => shape.same_index = true,
            "unasked" => shape.unasked = true,
            _ => return Err("expected any of whole, fragments, no-ids, no-index, same-index, unasked".to_owned()),
        }
    }
    Ok(shape)
}
