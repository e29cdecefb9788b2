//! `process`: what can be done with the commands that `terminal` has started in the background.

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::sandbox::CommandSignal;
use crate::tools::terminal::background::Process;
use crate::tools::terminal::processes::Processes;
use crate::tools::{ToolSettings, file_tool, schema, text};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "process";

/// How long a look waits for news, where nothing else is asked for: for what runs on its own, in answer to input, and
/// for the end of what was told to end.
const USUAL_WAIT: Duration = Duration::from_secs(10);
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(1);
const WAIT_FOR_END: Duration = Duration::from_secs(5);

/// Left of a call's time for the answer.
const MARGIN: Duration = Duration::from_secs(1);

/// Shows, feeds and ends the processes of a session.
pub struct ProcessTool {
    spec: ToolSpec,
    settings: Arc<ToolSettings>,
    processes: Processes,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    List,
    Poll,
    Read,
    Write,
    Kill,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Signal {
    Interrupt,
    Terminate,
    Kill,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// `list` shows the processes of this conversation. `poll` waits for new output or the end. `read` shows output
    /// from an offset on. `write` sends input. `kill` ends it.
    action: Action,
    /// The process, such as `p1-3f2a`. For everything but `list`.
    id: Option<String>,
    /// For `write`: the text, with a newline at its end if a line is meant.
    input: Option<String>,
    /// For `write`: close its input after the text, as Ctrl-D does. Default: false.
    end_input: Option<bool>,
    /// For `read`: the first byte to show, counted from 0. Default: 0.
    #[schemars(range(min = 0))]
    offset: Option<u64>,
    /// For `kill`: `interrupt` (Ctrl-C) and `terminate` ask it to end, `kill` ends it with all that it has started.
    /// Default: `kill`.
    signal: Option<Signal>,
    /// How long to wait for new output or the end. Default: 10 for `poll`, 1 for `write`, 5 for `kill`.
    #[schemars(range(min = 0))]
    wait_seconds: Option<u64>,
}

impl ProcessTool {
    pub fn new(settings: &Arc<ToolSettings>, processes: Processes) -> Self {
        let limits = processes.limits();
        let description = format!(
            "Works with the commands that terminal has started with background set: shows what they have written since \
             the last look, sends them input, ends them. They belong to this conversation, and end after {} without \
             a call of terminal or process in it, after {} in any case, and when the server is restarted.",
            text::time(limits.idle_time),
            text::time(limits.lifetime)
        );
        Self { spec: schema::spec::<Arguments>(NAME, description), settings: Arc::clone(settings), processes }
    }
}

impl Tool for ProcessTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        Annotations::WITH_EFFECTS
    }

    fn summary(&self, arguments: &Value) -> String {
        let words = ["action", "id", "input"].map(|key| schema::text_at(arguments, key));
        text::summary(&words.join(" "))
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let processes = self.processes.clone();
        let limit = self.settings.output_limit;
        Box::pin(async move {
            let arguments: Arguments = schema::parse(arguments)?;
            processes.touch(&context.session);
            let answer = match arguments.action {
                Action::List => list(&processes.list(&context.session)),
                action => {
                    let Some(id) = &arguments.id else {
                        return Err(tell("id is missing: the process, such as `p1-3f2a`. Action `list` shows them."));
                    };
                    let process = processes.find(&context.session, id)?;
                    // Waiting is no idling, but it must not outlast the time that a session may idle.
                    let left = context.time_limit.saturating_sub(MARGIN).max(context.time_limit / 2);
                    let most = left.min(processes.limits().idle_time / 2);
                    act(action, &process, &arguments, most, limit).await?
                }
            };
            processes.touch(&context.session);
            Ok(file_tool::answer(answer))
        })
    }
}

async fn act(
    action: Action,
    process: &Process,
    arguments: &Arguments,
    most: Duration,
    limit: usize,
) -> Result<String, ToolError> {
    let wait = |usual| arguments.wait_seconds.map_or(usual, Duration::from_secs).min(most);
    match action {
        Action::Read => return Ok(process.show_from(arguments.offset.unwrap_or(0), limit)),
        Action::Write => {
            let input = arguments.input.as_deref().unwrap_or_default();
            let end = arguments.end_input.unwrap_or(false);
            if input.is_empty() && !end {
                return Err(tell("input is missing: the text to write, or end_input to close its input."));
            }
            process.write(input.as_bytes(), end).await?;
            process.news(wait(WAIT_FOR_ANSWER)).await;
        }
        Action::Kill => {
            match arguments.signal.unwrap_or(Signal::Kill) {
                Signal::Interrupt => process.signal(CommandSignal::Interrupt),
                Signal::Terminate => process.signal(CommandSignal::Terminate),
                Signal::Kill => process.kill(),
            }
            process.ended(wait(WAIT_FOR_END)).await;
        }
        Action::Poll | Action::List => process.news(wait(USUAL_WAIT)).await,
    }
    Ok(process.show_news(limit))
}

fn list(processes: &[Arc<Process>]) -> String {
    if processes.is_empty() {
        return "[no processes]".to_owned();
    }
    let lines = processes.iter().map(|process| format!("{}: {}", process.state(), process.summary));
    lines.collect::<Vec<_>>().join("\n")
}

fn tell(text: &str) -> ToolError {
    ToolError::TellModel(text.to_owned())
}
