//! A server's process: its pipes, each read no faster and no further than the limits let.

use super::guard::{Budget, Fault, MAX_MESSAGE};
use crate::core::text::ellipsis;
use crate::sandbox::{Command, Ended, Running, SpawnError, Streams, Supervisor};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that may come at once, and each second after that; a line counts as so many more.
const BYTES: (f64, f64) = (67_108_864.0, 8_388_608.0);
const LINE: f64 = 4096.0;

/// Lines of stderr that are kept, and characters of each. Some runtimes put the reason above all frames of their stack.
const LAST_LINES: usize = 16;
const MAX_LINE: usize = 300;

/// A server's process and our ends of its pipes.
pub struct Process {
    pub running: Running,
    pub stdin: pipe::Sender,
    pub stdout: Lines,
    pub stderr: pipe::Receiver,
}

impl Process {
    pub async fn start(supervisor: &Supervisor, command: &Command, fault: &Fault) -> Result<Self, SpawnError> {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(&command.cwd).await?;
        let (stdin, to_us_in) = io::pipe()?;
        let (to_us_out, stdout) = io::pipe()?;
        let (to_us_err, stderr) = io::pipe()?;
        let streams = Streams { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
        let process = Self {
            running: supervisor.spawn(command, streams).await?,
            stdin: pipe::Sender::from_owned_fd(OwnedFd::from(to_us_in))?,
            stdout: Lines::new(pipe::Receiver::from_owned_fd(to_us_out.into())?, Arc::clone(fault)),
            stderr: pipe::Receiver::from_owned_fd(to_us_err.into())?,
        };
        Ok(process)
    }
}

/// How a process ended, for people.
pub fn describe(ended: Result<Ended, SpawnError>) -> String {
    match ended {
        Ok(Ended::Exit(code)) => format!("it ended with exit code {code}"),
        Ok(Ended::Signal(signal)) => format!("it was killed by signal {signal}"),
        Ok(Ended::TimedOut | Ended::Overdue) => "it was ended".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The server's stdout. A line that is longer than a message may be ends it, before it is held as a whole.
pub struct Lines {
    inner: pipe::Receiver,
    /// Bytes since the last end of a line.
    line: usize,
    budget: Budget,
    /// A server that is too fast is read on when this is over.
    pause: Pin<Box<Sleep>>,
    fault: Fault,
}

impl Lines {
    fn new(inner: pipe::Receiver, fault: Fault) -> Self {
        let pause = Box::pin(sleep(std::time::Duration::ZERO));
        Self { inner, line: 0, budget: Budget::new(BYTES), pause, fault }
    }

    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut ends = 0_u32;
        for byte in bytes {
            self.line = if *byte == b'\n' { 0 } else { self.line.saturating_add(1) };
            ends = ends.saturating_add(u32::from(*byte == b'\n'));
            if self.line > MAX_MESSAGE {
                let text = format!("it sent a message of more than {} MiB", MAX_MESSAGE >> 20);
                let _ = self.fault.set(text.clone());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        let amount = bytes.len() as f64 + f64::from(ends) * LINE;
        if let Err(wait) = self.budget.take(amount) {
            self.pause.as_mut().reset(Instant::now() + wait);
        }
        Ok(())
    }
}

impl AsyncRead for Lines {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.pause.is_elapsed() && this.pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(this.count(buffer.filled().get(before..).unwrap_or_default())),
            other => other,
        }
    }
}

/// The last lines that a server has written to stderr, for the one who wonders why it ended.
#[derive(Clone, Default)]
pub struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    /// Reads to the end. Each line goes to the log as well, cut, at the level `debug`.
    pub async fn listen(&self, server: &str, mut stderr: pipe::Receiver) {
        let mut budget = Budget::new(BYTES);
        let (mut chunk, mut line) = (vec![0; 4096], Vec::new());
        while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
            for byte in chunk.iter().take(read) {
                match byte {
                    b'\n' => self.keep(server, &std::mem::take(&mut line)),
                    // Four bytes are the longest character.
                    byte if line.len() < 4 * MAX_LINE => line.push(*byte),
                    _ => {}
                }
            }
            while let Err(wait) = budget.take(read as f64) {
                sleep(wait).await;
            }
        }
        self.keep(server, &line);
    }

    fn keep(&self, server: &str, line: &[u8]) {
        let line = one_line(&String::from_utf8_lossy(line));
        if line.is_empty() {
            return;
        }
        tracing::debug!(server, line, "an MCP server writes");
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// What there is, after a reason.
    pub fn after(&self, reason: String) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return reason;
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!("{reason}; it had written: {}", lines.join(" | "))
    }
}

/// A stranger's text on one line, without what a terminal would act on, and not too long.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().take(4 * MAX_LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    ellipsis(&plain.split_whitespace().collect::<Vec<_>>().join(" "), MAX_LINE)
}
