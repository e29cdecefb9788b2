//! One command in the background: the task that owns it, and what others may ask of it.

use super::long_output::Kept;
use super::ring::Ring;
use crate::core::ports::tool::ToolError;
use crate::sandbox::{CommandSignal, Ended, Running, Sink, SpawnError, read_into};
use crate::tools::text;
use futures_util::FutureExt;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{self, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes kept of an output in memory, the last ones.
const KEPT: usize = 128 * 1024;

/// Signals that may wait to be sent.
const MAX_SIGNALS: usize = 16;

/// Output mostly comes in several pieces; a look at it waits until none has come for this long.
const SETTLED: Duration = Duration::from_millis(100);

/// And no longer than this, as there is output that never pauses.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// How long a process may take to read what it is sent.
const INPUT_TIME: Duration = Duration::from_secs(5);

/// A command in the background, running or ended.
pub struct Process {
    pub id: String,
    /// The command, as a line.
    pub summary: String,
    log: Mutex<Log>,
    /// Says that the log has changed.
    changes: watch::Sender<()>,
    /// `None` once it was closed.
    input: sync::Mutex<Option<pipe::Sender>>,
    signals: mpsc::Sender<CommandSignal>,
    /// Has all of it killed.
    end: CancellationToken,
}

struct Log {
    output: Ring,
    /// The model has been shown the output up to here.
    seen: u64,
    ended: Option<String>,
    /// Where all of the output is, or why that is nowhere, once it is more than is kept here.
    file: Option<String>,
}

/// Where the whole output goes when there is much of it.
pub struct OutputFile {
    pub workspace: Arc<Path>,
    /// Bytes of it.
    pub max: u64,
}

/// What takes the output.
struct Recorder<'p> {
    process: &'p Process,
    to: OutputFile,
    file: Option<io::Result<Kept>>,
}

/// What the task that owns a command needs.
pub struct Owned {
    pub running: Running,
    pub output: pipe::Receiver,
    pub file: OutputFile,
    signals: mpsc::Receiver<CommandSignal>,
}

impl Process {
    pub fn new(
        (id, summary): (String, String),
        (running, input, output): (Running, pipe::Sender, pipe::Receiver),
        file: OutputFile,
        end: CancellationToken,
    ) -> (Self, Owned) {
        let (sender, signals) = mpsc::channel(MAX_SIGNALS);
        let log = Log { output: Ring::new(KEPT), seen: 0, ended: None, file: None };
        let process = Self {
            id,
            summary,
            log: Mutex::new(log),
            changes: watch::Sender::new(()),
            input: sync::Mutex::new(Some(input)),
            signals: sender,
            end,
        };
        (process, Owned { running, output, file, signals })
    }

    /// Owns the command until nothing of it is left.
    pub async fn own(&self, owned: Owned, lifetime: Duration) {
        let Owned { mut running, output, file, mut signals } = owned;
        let mut sink = Recorder { process: self, to: file, file: None };
        let mut reading = pin!(read_into(&mut sink, output).fuse());
        let mut overdue = pin!(sleep(lifetime));
        let mut killed = None;
        let ended = loop {
            tokio::select! {
                ended = running.finish(reading.as_mut()) => break ended,
                Some(signal) = signals.recv() => running.signal(signal),
                () = self.end.cancelled(), if killed.is_none() => {
                    killed = Some("killed".to_owned());
                    running.kill();
                }
                () = &mut overdue, if killed.is_none() => {
                    killed = Some(format!("killed: it ran for {}, the longest there may be", text::time(lifetime)));
                    running.kill();
                }
            }
        };
        self.log().ended = Some(killed.unwrap_or_else(|| how(ended)));
        self.changes.send_replace(());
        self.input.lock().await.take();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A log is never left half done.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_running(&self) -> bool {
        self.log().ended.is_none()
    }

    /// `p1-3f2a is running; 20 bytes of output so far`
    pub fn state(&self) -> String {
        let log = self.log();
        let output = text::count(log.output.end(), "byte");
        match &log.ended {
            None => format!("{} is running; {output} of output so far", self.id),
            Some(how) => format!("{} ended: {how}; {output} of output", self.id),
        }
    }

    pub fn kill(&self) {
        self.end.cancel();
    }

    pub fn signal(&self, signal: CommandSignal) {
        // Where so many wait, one more makes no difference.
        let _ = self.signals.try_send(signal);
    }

    /// Waits until there is output that has not been shown, or the end.
    pub async fn news(&self, limit: Duration) {
        let mut changes = self.changes.subscribe();
        let is_new = |log: &Log| log.ended.is_some() || log.output.end() > log.seen;
        let settled = async {
            while !is_new(&self.log()) && changes.changed().await.is_ok() {}
            let pause = async { while self.is_running() && timeout(SETTLED, changes.changed()).await.is_ok() {} };
            let _ = timeout(SETTLE_LIMIT, pause).await;
        };
        let _ = timeout(limit, settled).await;
    }

    /// Waits until it has ended.
    pub async fn ended(&self, limit: Duration) {
        let mut changes = self.changes.subscribe();
        let ended = async { while self.is_running() && changes.changed().await.is_ok() {} };
        let _ = timeout(limit, ended).await;
    }

    /// The output that has not been shown, the last `limit` bytes of it, and how things stand.
    pub fn show_news(&self, limit: usize) -> String {
        let mut log = self.log();
        let end = log.output.end();
        let from = log.seen.max(end.saturating_sub(limit as u64));
        let (start, bytes) = log.output.read(from, limit);
        let skipped = start.saturating_sub(log.seen);
        let mut shown = String::new();
        if skipped > 0 {
            let readable = match (log.output.start(), &log.file) {
                (kept, _) if kept <= log.seen => format!("read with offset={} shows them", log.seen),
                (_, Some(file)) => file.clone(),
                (kept, None) if kept < start => format!("read with offset={kept} shows what is kept of them"),
                (_, None) => "they are not kept".to_owned(),
            };
            shown += &format!("[… {} left out: {readable} …]\n", text::count(skipped, "byte"));
        }
        log.seen = start.saturating_add(bytes.len() as u64);
        drop(log);
        self.with_state(shown, &bytes, "[no new output]")
    }

    /// The output from an offset on.
    pub fn show_from(&self, offset: u64, limit: usize) -> String {
        let mut log = self.log();
        let (start, bytes) = log.output.read(offset, limit);
        let end = start.saturating_add(bytes.len() as u64);
        let mut shown = String::new();
        if offset < start {
            let file = log.file.as_ref().map(|file| format!("; {file}")).unwrap_or_default();
            shown += &format!("[… the output before byte {start} cannot be read here any more{file} …]\n");
        }
        log.seen = log.seen.max(end);
        let more = end < log.output.end();
        drop(log);
        let text = self.with_state(shown, &bytes, "[no output from there on]");
        if more { format!("{text}\n[offset={end} goes on]") } else { text }
    }

    fn with_state(&self, mut shown: String, bytes: &[u8], nothing: &str) -> String {
        match bytes {
            [] => shown += nothing,
            bytes => shown += &String::from_utf8_lossy(bytes),
        }
        if !shown.ends_with('\n') {
            shown.push('\n');
        }
        format!("{shown}[{}]", self.state())
    }

    /// Sends it input, and then the end of its input if that is asked for.
    pub async fn write(&self, input: &[u8], and_end: bool) -> Result<(), ToolError> {
        let tell = |text: String| Err(ToolError::TellModel(text));
        if !self.is_running() {
            return tell(format!("Nothing was written. [{}]", self.state()));
        }
        let mut written = 0_usize;
        let write = async {
            let mut place = self.input.lock().await;
            let Some(pipe) = place.as_mut() else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
            while let Some(rest) = input.get(written..).filter(|rest| !rest.is_empty()) {
                written = written.saturating_add(pipe.write(rest).await?);
            }
            if and_end {
                place.take();
            }
            Ok::<_, std::io::Error>(())
        };
        let result = timeout(INPUT_TIME, write).await;
        let all = text::count(input.len() as u64, "byte");
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                tell(format!("Its input is closed: {written} of {all} were written. [{}]", self.state()))
            }
            Ok(Err(error)) => tell(format!("The input could not be written: {error}. [{}]", self.state())),
            Err(_) => {
                let state = self.state();
                tell(format!(
                    "It does not read its input: {written} of {all} were written, the rest was not. [{state}]"
                ))
            }
        }
    }
}

impl Recorder<'_> {
    /// Everything up to here goes to the file first.
    async fn begin(&self, so_far: &[u8]) -> io::Result<Kept> {
        let mut kept = Kept::begin(Arc::clone(&self.to.workspace)).await?;
        kept.write(so_far, self.to.max).await?;
        Ok(kept)
    }

    async fn keep(&mut self, bytes: &[u8]) {
        if self.file.is_none() {
            let so_far = self.process.log().output.before_loss(bytes.len());
            let Some(so_far) = so_far else { return };
            self.file = Some(self.begin(&so_far).await);
        }
        let Some(Ok(kept)) = &mut self.file else { return };
        let written = match kept.write(bytes, self.to.max).await {
            Ok(()) => kept.flush().await,
            error => error,
        };
        if let Err(error) = written {
            self.file = Some(Err(error));
        }
    }

    fn told(&self) -> Option<String> {
        Some(match self.file.as_ref()? {
            Ok(kept) => {
                format!("the first {} of the output are in `{}`", text::count(kept.written, "byte"), kept.place)
            }
            Err(error) => format!("the whole output could not be kept in a file: {error}"),
        })
    }
}

impl Sink for Recorder<'_> {
    async fn take(&mut self, bytes: &[u8]) {
        self.keep(bytes).await;
        let told = self.told();
        let mut log = self.process.log();
        log.output.push(bytes);
        log.file = told;
        drop(log);
        self.process.changes.send_replace(());
    }
}

fn how(ended: Result<Ended, SpawnError>) -> String {
    match ended {
        Ok(Ended::Exit(code)) => format!("exit code {code}"),
        Ok(Ended::Signal(signal)) => super::killed_by(signal),
        Ok(Ended::TimedOut | Ended::Overdue) => "killed".to_owned(),
        Err(SpawnError::Command(reason)) => reason,
        Err(SpawnError::Lost) => "its supervisor was killed, most likely by the command itself".to_owned(),
        Err(error) => {
            tracing::error!(%error, "a command in the background was lost");
            "it was lost by a fault of the server".to_owned()
        }
    }
}
