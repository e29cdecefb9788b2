//! The daemon's side: starts a supervisor, hands it the command, and hears how it ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::Shutdown;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{self, Child};
use tokio::time::timeout;

use super::capture::{Capture, Captured, OutputLimits};
use super::networks::{Held, Networks};
use super::policy::{Layer, Policy};
use super::protocol::{self, Answer, Request};
use super::{Command, CommandsLock, SUPERVISE};

/// How long a supervisor may take to kill everything after a time limit. It needs milliseconds; only a
/// process that is stuck in the kernel takes longer, and a run shall not wait for that.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// How long to read on after the last process has gone. Only a process outside of the supervisor's reach that
/// was given the pipe can make this matter.
const DRAIN_LIMIT: Duration = Duration::from_millis(200);

/// A network is made in milliseconds.
const NETWORK_LIMIT: Duration = Duration::from_secs(5);

/// Starts commands, each under a supervisor of its own. Made once, cheap to clone.
#[derive(Clone, Debug)]
pub struct Supervisor {
    binary: Arc<Path>,
    /// Held by every supervisor, so that the next daemon knows when all are gone.
    lock: Option<CommandsLock>,
    /// What its commands may do.
    policy: Arc<Policy>,
    /// The sessions' own networks, for commands that are to have no other.
    networks: Networks,
}

/// The command's standard streams, to be given away.
#[derive(Debug)]
pub struct Streams {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// A command and its supervisor. Dropping it kills all its processes.
#[derive(Debug)]
pub struct Running {
    /// Everything dies when this closes; so it is never cloned.
    lifeline: UnixStream,
    /// Kept to be reaped: by `wait`, else by tokio. Never to be killed, for it would leave its descendants.
    supervisor: Child,
    /// What has come of the answer. A field, so that `wait` can be dropped and called again.
    answer: Vec<u8>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    Signal(i32),
    /// It was killed when its time was up.
    TimedOut,
    /// Its time was up, and not all of its processes could be killed.
    Overdue,
}

/// A command that has ended, with what it wrote to stdout and stderr, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub ended: Ended,
    pub output: Captured,
}

#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The command could not be started. The text says why, for whoever asked for it.
    #[error("{0}")]
    Command(String),
    #[error("cannot start the supervisor {}: {source}", binary.display())]
    Supervisor { binary: PathBuf, source: io::Error },
    #[error("cannot talk to the supervisor: {0}")]
    Lifeline(#[from] io::Error),
    /// Someone killed it, most likely the command itself.
    #[error("the command's supervisor ended without saying how the command ended")]
    Lost,
}

impl Streams {
    /// No stdin, and one pipe for stdout and stderr, as on a terminal: a reader sees an error where it
    /// happened, as far as the command itself does not hold output back.
    pub fn combined() -> io::Result<(Self, pipe::Receiver)> {
        let (output, stdout) = io::pipe()?;
        let streams = Self {
            stdin: std::fs::File::open("/dev/null")?.into(),
            stderr: stdout.try_clone()?.into(),
            stdout: stdout.into(),
        };
        Ok((streams, pipe::Receiver::from_owned_fd(output.into())?))
    }
}

impl Supervisor {
    /// `binary` is what calls [`supervisor::run`](super::supervisor::run) when its first argument is
    /// [`SUPERVISE`]: the daemon itself. (`/proc/self/exe` goes on working when an upgrade replaces the file.)
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into().into(), lock: None, policy: Arc::new(Policy::off()), networks: Networks::new() }
    }

    /// The same for commands that may do what this policy says. Until it is said they may do what the daemon may.
    #[must_use]
    pub fn under(&self, policy: Policy) -> Self {
        Self { policy: Arc::new(policy), networks: Networks::new(), ..self.clone() }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Supervisors that hold this lock for as long as anything of their command is left.
    pub fn holding(self, lock: CommandsLock) -> Self {
        Self { lock: Some(lock), ..self }
    }

    /// Runs a command to its end, or to the end of its time. When this returns, or is dropped, its processes
    /// are gone or about to be.
    pub async fn run(
        &self,
        command: &Command,
        limits: OutputLimits,
        time_limit: Duration,
    ) -> Result<Finished, SpawnError> {
        let (streams, mut output) = Streams::combined()?;
        let mut running = self.spawn(command, streams).await?;
        let mut capture = Capture::new(limits);
        let ended = match timeout(time_limit, finish(&mut running, &mut capture, &mut output)).await {
            Ok(ended) => ended?,
            Err(_) => {
                running.kill();
                match timeout(KILL_LIMIT, finish(&mut running, &mut capture, &mut output)).await {
                    Ok(Ok(_)) => Ended::TimedOut,
                    // Its supervisor was killed, or has not come to an end.
                    Ok(Err(_)) | Err(_) => Ended::Overdue,
                }
            }
        };
        Ok(Finished { ended, output: capture.finish() })
    }

    /// Starts a command. That it could not be started is heard from [`Running::wait`].
    pub async fn spawn(&self, command: &Command, streams: Streams) -> Result<Running, SpawnError> {
        let lock = self.lock.as_ref().map(|lock| lock.path().to_owned());
        let network = self.network(&command.cwd).await;
        let Streams { stdin, stdout, stderr } = streams;
        let mut descriptors = vec![stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        descriptors.extend(network.iter().flat_map(|network| network.descriptors()));
        let request = Request::Run { command: command.clone(), policy: Box::new((*self.policy).clone()), lock };
        self.ask(&request, &descriptors).await
    }

    /// The network of a session, where it is to have one of its own. Where none can be made, the supervisor finds that
    /// out once more, and says it.
    async fn network(&self, workspace: &Path) -> Option<Arc<Held>> {
        if !self.policy.wants(Layer::Network) || self.policy.broken.contains_key(&Layer::Network) {
            return None;
        }
        self.networks.of(workspace, self.make_network()).await.ok()
    }

    async fn make_network(&self) -> io::Result<Vec<OwnedFd>> {
        let make = async {
            let running = self.ask(&Request::Network, &[]).await.map_err(io::Error::other)?;
            let mut descriptors = Vec::new();
            let receive = || protocol::receive(&running.lifeline, &mut [0], &mut descriptors);
            match running.lifeline.async_io(Interest::READABLE, receive).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(descriptors),
            }
        };
        timeout(NETWORK_LIMIT, make).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Starts a supervisor and asks it for something.
    async fn ask(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<Running, SpawnError> {
        let line = protocol::encode(request)?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let sent = protocol::send(&ours, &line, descriptors)?;
        // Nothing here may need a fork: std then starts it without copying the daemon's page tables.
        let supervisor = process::Command::new(&*self.binary)
            // The path may be a link of /proc, which would tell nobody who this is.
            .arg0("nuncio")
            .arg(SUPERVISE)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| SpawnError::Supervisor { binary: self.binary.to_path_buf(), source })?;
        let mut running = Running { lifeline: UnixStream::from_std(ours)?, supervisor, answer: Vec::new() };
        running.lifeline.write_all(line.get(sent..).unwrap_or_default()).await?;
        Ok(running)
    }
}

impl Running {
    /// Has all its processes killed. [`wait`](Self::wait) returns when that is done.
    pub fn kill(&self) {
        // It fails when the supervisor is gone, and then there is nothing to say.
        let _ = rustix::net::shutdown(&self.lifeline, Shutdown::Write);
        // The command may have stopped its supervisor. Its id is nobody else's: only `wait` collects it, and there is
        // none after that.
        if let Some(pid) = self.supervisor.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    /// Waits until the command has ended and none of its processes is left. It can be dropped and called
    /// again.
    pub async fn wait(&mut self) -> Result<Ended, SpawnError> {
        match self.answer().await? {
            Some(Answer::Exit(code)) => Ok(Ended::Exit(code)),
            Some(Answer::Signal(signal)) => Ok(Ended::Signal(signal)),
            Some(Answer::Refused(layer, reason)) => Err(SpawnError::Command(format!(
                "the sandbox's layer `{layer}` cannot be put on here, so nothing was run: {reason}"
            ))),
            Some(Answer::Error(error)) => Err(SpawnError::Command(error)),
            None => Err(SpawnError::Lost),
        }
    }

    /// The last word of the supervisor; `None` if it ended without.
    pub(super) async fn answer(&mut self) -> Result<Option<Answer>, SpawnError> {
        while self.lifeline.read_buf(&mut self.answer).await? > 0 {}
        self.supervisor.wait().await?;
        Ok(protocol::decode(&self.answer)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads the output until the command has ended.
async fn finish(
    running: &mut Running,
    capture: &mut Capture,
    output: &mut pipe::Receiver,
) -> Result<Ended, SpawnError> {
    let mut all_read = std::pin::pin!(capture.read(output));
    tokio::select! {
        ended = running.wait() => {
            let _ = timeout(DRAIN_LIMIT, all_read).await;
            ended
        }
        () = &mut all_read => running.wait().await,
    }
}
