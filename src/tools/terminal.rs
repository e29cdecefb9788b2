//! `terminal`: a command in the workspace, under a supervisor that leaves none of its processes behind.
//!
//! What it reaches is for its supervisor to say, which is told by the profile: see [`sandbox`](crate::sandbox).

pub mod background;
mod long_output;
pub mod processes;
mod ring;

use crate::core::item::Part;
use crate::core::ports::tool::{Annotations, Tool, ToolContext, ToolError, ToolSpec};
use crate::sandbox::{Captured, Command, Ended, SpawnError, Supervisor};
use crate::tools::{ToolSettings, file_tool, schema, text, workspace};
use background::{OutputFile, Process};
use futures_util::future::BoxFuture;
use long_output::LongOutput;
use processes::{Processes, StartError};
use rustix::io::Errno;
use rustix::process::Signal;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "terminal";

/// The time of a command that asks for none.
const USUAL_TIME: Duration = Duration::from_secs(120);

/// Left of a call's time for the supervisor to clean up, or the caller would end the call and its output be lost.
const MARGIN: Duration = Duration::from_secs(1);

/// How long the answer to a start waits for first output: many a command fails at once.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The kernel takes no longer argument, in bytes.
const MAX_COMMAND: usize = 128 * 1024 - 1;

/// Where commands are looked up if the daemon itself was started without a `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub struct Terminal {
    spec: ToolSpec,
    settings: Arc<ToolSettings>,
    supervisor: Supervisor,
    processes: Processes,
    /// The daemon's `PATH`, all that a command gets of its environment.
    path: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// A shell command or script.
    command: String,
    /// Seconds after which the command and all it started are killed.
    #[schemars(range(min = 1))]
    timeout_seconds: Option<u64>,
    /// Start it and go on without waiting for its end, as for a server or a long build. The tool process then shows its
    /// output, sends it input and ends it. timeout_seconds does not count. Default: false.
    background: Option<bool>,
}

impl Terminal {
    pub fn new(settings: &Arc<ToolSettings>, supervisor: Supervisor, processes: Processes) -> Self {
        let max = settings.terminal_max_time;
        let description = format!(
            "Runs a shell command in the workspace, and shows what it wrote to stdout and stderr, and its exit code. \
             It has no input and no terminal to ask on. Every call is a fresh shell: no folder or variable carries \
             over, and what the command leaves running is killed when it ends; set background for what shall go on. \
             Its time is {} s, or timeout_seconds up to {}, unless this conversation is allowed less. Of long output \
             head and tail are shown, and a file with all of it is named.",
            USUAL_TIME.min(max).as_secs(),
            max.as_secs()
        );
        Self {
            spec: schema::spec::<Arguments>(NAME, description),
            settings: Arc::clone(settings),
            supervisor,
            processes,
            path: std::env::var("PATH").unwrap_or_else(|_| USUAL_PATH.to_owned()),
        }
    }

    fn command(&self, script: String, workspace: &Path) -> Result<Command, ToolError> {
        if script.contains('\0') {
            return Err(ToolError::TellModel("command holds a NUL character, which no command can.".to_owned()));
        }
        if script.len() > MAX_COMMAND {
            let limit = text::count(MAX_COMMAND as u64, "byte");
            return Err(ToolError::TellModel(format!(
                "command is longer than {limit}. Write it to a file with write_file and run that."
            )));
        }
        let Some(home) = workspace.to_str() else {
            return Err(ToolError::Fatal(format!("the workspace {} is not UTF-8", workspace.display())));
        };
        let env = [("PATH", &*self.path), ("HOME", home), ("PWD", home), ("LANG", "C.UTF-8"), ("TERM", "dumb")];
        Ok(Command {
            program: self.settings.shell.clone(),
            args: vec!["-c".to_owned(), script],
            cwd: workspace.to_owned(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        })
    }

    fn time_limit(&self, asked: Option<u64>, left: Duration) -> Duration {
        let asked = asked.map_or(USUAL_TIME, Duration::from_secs);
        let left = left.saturating_sub(MARGIN).max(left / 2);
        asked.min(self.settings.terminal_max_time).min(left)
    }
}

impl Tool for Terminal {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotations(&self) -> Annotations {
        Annotations::WITH_EFFECTS
    }

    fn summary(&self, arguments: &Value) -> String {
        text::summary(schema::text_at(arguments, "command"))
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'static, Result<Vec<Part>, ToolError>> {
        let (supervisor, processes) = (self.supervisor.clone(), self.processes.clone());
        let settings = Arc::clone(&self.settings);
        let summary = self.summary(&arguments);
        let prepared = schema::parse::<Arguments>(arguments).and_then(|arguments| {
            let time_limit = self.time_limit(arguments.timeout_seconds, context.time_limit);
            let command = self.command(arguments.command, &context.workspace)?;
            Ok((command, time_limit, arguments.background.unwrap_or(false)))
        });
        Box::pin(async move {
            let (command, time_limit, background) = prepared?;
            processes.touch(&context.session);
            // An earlier command may have removed it.
            let made = tokio::fs::create_dir_all(&context.workspace).await;
            made.map_err(|error| workspace::unusable(&error))?;
            if background {
                let file = OutputFile { workspace: context.workspace, max: settings.terminal_max_output };
                let started = processes.start(&supervisor, &command, summary, &context.session, file).await;
                let process = Unanswered::of(started.map_err(refusal)?);
                process.0.news(FIRST_LOOK.min(context.time_limit / 2)).await;
                return Ok(file_tool::answer(process.answered().show_news(settings.output_limit)));
            }
            let mut output = LongOutput::new(context.workspace, settings.output_limit, settings.terminal_max_output);
            let ended = supervisor.run_into(&command, &mut output, time_limit).await.map_err(failure)?;
            processes.touch(&context.session);
            let (output, rest) = output.finish().await;
            Ok(file_tool::answer(told(ended, output, rest, time_limit)))
        })
    }
}

/// A process that nobody has heard of: it is ended if nobody ever will.
struct Unanswered(Arc<Process>, bool);

impl Unanswered {
    fn of(process: Arc<Process>) -> Self {
        Self(process, false)
    }

    fn answered(mut self) -> Arc<Process> {
        self.1 = true;
        Arc::clone(&self.0)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.1 {
            self.0.kill();
        }
    }
}

/// The output, and after it how the command ended.
fn told(ended: Ended, output: Captured, rest: Option<String>, time_limit: Duration) -> String {
    let Captured { head, cut, tail } = output;
    let mut text = head;
    if cut > 0 {
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        text += &format!("{newline}[… {} cut …]\n{tail}", text::count(cut, "byte"));
    }
    if text.is_empty() {
        text += "[no output]";
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text += &match ended {
        Ended::Exit(code) => format!("[exit code {code}]"),
        Ended::Signal(signal) => format!("[{}]", killed_by(signal)),
        Ended::TimedOut => format!("[killed: time limit of {} s reached]", time_limit.as_secs_f64()),
        Ended::Overdue => {
            let limit = time_limit.as_secs_f64();
            format!("[time limit of {limit} s reached; some of its processes may still be running]")
        }
    };
    text.extend(rest.map(|rest| format!("\n{rest}")));
    text
}

fn refusal(error: StartError) -> ToolError {
    match error {
        StartError::Refused(text) => ToolError::TellModel(text),
        StartError::Spawn(error) => failure(error),
    }
}

/// With the limit that a signal stands for.
fn killed_by(signal: i32) -> String {
    let why = match signal {
        signal if signal == Signal::XCPU.as_raw() => ": its processor time is used up (sandbox.cpu_time)",
        signal if signal == Signal::XFSZ.as_raw() => ": a file became larger than it may (sandbox.file_size)",
        _ => "",
    };
    format!("killed by signal {signal}{why}")
}

fn failure(error: SpawnError) -> ToolError {
    match error {
        SpawnError::Command(_) => ToolError::TellModel(format!("{error}.")),
        SpawnError::Lost => ToolError::TellModel(
            "The command's supervisor was killed, most likely by the command itself, and the command with it. Kill \
             processes by their own ids only."
                .to_owned(),
        ),
        SpawnError::Supervisor { ref source, .. } | SpawnError::Lifeline(ref source) if has_no_room(source) => {
            ToolError::TellModel(format!(
                "The machine has no room for another command now, so it was not run: {source}."
            ))
        }
        SpawnError::Supervisor { .. } | SpawnError::Lifeline(_) => ToolError::Fatal(error.to_string()),
    }
}

/// Too many files are open, or processes are there, or memory is taken: it may be better soon.
fn has_no_room(error: &io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_full_does_not_end_the_run() {
        let of = |errno: Errno| failure(SpawnError::Lifeline(errno.into()));
        assert!(matches!(of(Errno::MFILE), ToolError::TellModel(_)));
        assert!(matches!(of(Errno::PIPE), ToolError::Fatal(_)));
    }
}
