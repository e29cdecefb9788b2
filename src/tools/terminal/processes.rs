//! Commands in the background, by the session they belong to. They end with its idle time, or the daemon.

use super::background::{OutputFile, Process};
use crate::core::ports::tool::ToolError;
use crate::sandbox::{Command, SpawnError, Streams, Supervisor};
use crate::tools::text;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Sessions that may have processes running at the same time. Where all have ended, their output makes room for others.
const MAX_SESSIONS: usize = 64;

/// Processes of a session that are kept after their end, to be looked at.
const MAX_ENDED: usize = 8;

/// For all processes to die when the daemon stops. What is left then dies as the daemon does.
const END_LIMIT: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Running at once in one session.
    pub per_session: usize,
    /// A session's processes end when nothing was asked of the terminal in it for this long.
    pub idle_time: Duration,
    /// Of one process.
    pub lifetime: Duration,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self { per_session: 8, idle_time: hours(1) / 2, lifetime: hours(24) }
    }
}

/// All of a daemon, whatever profile they were started in. Cheap to clone.
#[derive(Clone)]
pub struct Processes(Arc<Inner>);

struct Inner {
    limits: ProcessLimits,
    tasks: TaskTracker,
    stop: CancellationToken,
    sessions: Mutex<HashMap<Arc<str>, Session>>,
}

struct Session {
    /// In the ids of its processes, so that an id from before a restart or an idle time is never that of another one.
    tag: String,
    /// How many were started.
    count: u64,
    processes: BTreeMap<u64, Arc<Process>>,
    used: Instant,
    end: CancellationToken,
}

impl Session {
    fn running(&self) -> usize {
        self.processes.values().filter(|process| process.is_running()).count()
    }

    /// Forgets those that ended long ago.
    fn prune(&mut self) {
        let ended: Vec<u64> = self.processes.iter().filter(|(_, one)| !one.is_running()).map(|(at, _)| *at).collect();
        for at in ended.iter().take(ended.len().saturating_sub(MAX_ENDED)) {
            self.processes.remove(at);
        }
    }
}

/// None that anything else waits for.
impl Default for Processes {
    fn default() -> Self {
        Self::new(ProcessLimits::default(), TaskTracker::new(), CancellationToken::new())
    }
}

impl Processes {
    pub fn new(limits: ProcessLimits, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner { limits, tasks, stop, sessions: Mutex::default() }))
    }

    pub fn limits(&self) -> &ProcessLimits {
        &self.0.limits
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Arc<str>, Session>> {
        // Nothing is left half done by a panic.
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is asked in this session, so it is not idle.
    pub fn touch(&self, session: &str) {
        if let Some(session) = self.sessions().get_mut(session) {
            session.used = Instant::now();
        }
    }

    /// Starts a command. That it could not be started is heard from its process.
    pub async fn start(
        &self,
        supervisor: &Supervisor,
        command: &Command,
        summary: String,
        session: &Arc<str>,
        file: OutputFile,
    ) -> Result<Arc<Process>, StartError> {
        // Before anything is started for nothing, and again when it is.
        self.check(session)?;
        let (streams, input, output) = Streams::interactive().map_err(SpawnError::Lifeline)?;
        let running = supervisor.spawn(command, streams).await?;
        let mut sessions = self.sessions();
        self.check_in(&sessions, session)?;
        let place = match sessions.get_mut(session) {
            Some(place) => place,
            None => {
                make_room(&mut sessions);
                let end = self.0.stop.child_token();
                self.0.tasks.spawn(self.clone().watch(Arc::clone(session), end.clone()));
                sessions.entry(Arc::clone(session)).or_insert_with(|| Session {
                    tag: tag(),
                    count: 0,
                    processes: BTreeMap::new(),
                    used: Instant::now(),
                    end,
                })
            }
        };
        place.prune();
        place.used = Instant::now();
        place.count = place.count.saturating_add(1);
        let id = format!("p{}-{}", place.count, place.tag);
        let (process, owned) = Process::new((id, summary), (running, input, output), file, place.end.child_token());
        let process = Arc::new(process);
        place.processes.insert(place.count, Arc::clone(&process));
        let (owner, lifetime) = (Arc::clone(&process), self.0.limits.lifetime);
        self.0.tasks.spawn(async move { owner.own(owned, lifetime).await });
        Ok(process)
    }

    fn check(&self, session: &str) -> Result<(), StartError> {
        self.check_in(&self.sessions(), session)
    }

    fn check_in(&self, sessions: &HashMap<Arc<str>, Session>, session: &str) -> Result<(), StartError> {
        let full = |text: String| Err(StartError::Refused(text));
        if self.0.stop.is_cancelled() {
            return full("Not started: the server is stopping.".to_owned());
        }
        match sessions.get(session) {
            Some(session) if session.running() >= self.0.limits.per_session => full(format!(
                "Not started: this conversation has {} running already, the most there may be. End one with process, \
                 action `kill`.",
                text::number(self.0.limits.per_session as u64)
            )),
            None if sessions.len() >= MAX_SESSIONS && sessions.values().all(|session| session.running() > 0) => {
                full("Not started: too many conversations have processes in the background. Try later.".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Those of a session, in the order of their start.
    pub fn list(&self, session: &str) -> Vec<Arc<Process>> {
        self.sessions().get(session).map(|session| session.processes.values().cloned().collect()).unwrap_or_default()
    }

    /// One of a session. The error says what became of it, as far as can be told.
    pub fn find(&self, session: &str, id: &str) -> Result<Arc<Process>, ToolError> {
        let listed = self.list(session);
        if let Some(process) = listed.iter().find(|process| process.id == id) {
            return Ok(Arc::clone(process));
        }
        let shown = text::quoted(id);
        let tag = self.sessions().get(session).map(|session| session.tag.clone());
        Err(ToolError::TellModel(match id.strip_prefix('p').and_then(|rest| rest.split_once('-')) {
            Some((_, theirs)) if Some(theirs) == tag.as_deref() => {
                format!(
                    "There is no process {shown} any more: of those that have ended, the last {MAX_ENDED} are kept."
                )
            }
            Some(_) => format!(
                "There is no process {shown}. The server was restarted since it was started, or nothing was asked of \
                 the terminal in this conversation for {}: it has ended, and its output is gone. Start it again if it \
                 is needed.",
                text::time(self.0.limits.idle_time)
            ),
            None => format!("There is no process {shown}. Action `list` shows those there are."),
        }))
    }

    /// Ends a session's processes when it was idle for long.
    async fn watch(self, session: Arc<str>, end: CancellationToken) {
        let _ending = end.clone().drop_guard();
        loop {
            let Some(used) = self.sessions().get(&session).map(|session| session.used) else { return };
            let idle_from = used + self.0.limits.idle_time;
            tokio::select! {
                () = end.cancelled() => return,
                () = sleep_until(idle_from) => {}
            }
            let mut sessions = self.sessions();
            if sessions.get(&session).is_some_and(|session| session.used == used) {
                sessions.remove(&session);
                return;
            }
        }
    }

    /// Ends all of them, for good: the daemon stops.
    pub async fn end(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if timeout(END_LIMIT, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("processes in the background do not end");
        }
    }
}

/// For one more session the one goes that has nothing running and was not used for the longest time.
fn make_room(sessions: &mut HashMap<Arc<str>, Session>) {
    if sessions.len() < MAX_SESSIONS {
        return;
    }
    let ended = sessions.iter().filter(|(_, session)| session.running() == 0);
    let oldest = ended.min_by_key(|(_, session)| session.used).map(|(id, _)| Arc::clone(id));
    if let Some(session) = oldest.and_then(|id| sessions.remove(&id)) {
        session.end.cancel();
    }
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// In words for the model.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Four characters of chance.
fn tag() -> String {
    let id = Uuid::now_v7().simple().to_string();
    id.chars().skip(28).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_keeps_nobody_from_starting_something() {
        let processes = Processes::default();
        let now = Instant::now();
        let session = |at: usize| {
            let used = now + Duration::from_secs(((at + 7) % MAX_SESSIONS) as u64);
            let end = CancellationToken::new();
            (format!("s{at}").into(), Session { tag: tag(), count: 1, processes: BTreeMap::new(), used, end })
        };
        let mut sessions: HashMap<Arc<str>, Session> = (0..MAX_SESSIONS).map(session).collect();
        processes.check_in(&sessions, "another").unwrap();
        let oldest = format!("s{}", MAX_SESSIONS - 7);
        let watched = sessions[&*oldest].end.clone();
        make_room(&mut sessions);
        assert_eq!((sessions.len(), sessions.contains_key(&*oldest)), (MAX_SESSIONS - 1, false));
        assert!(watched.is_cancelled(), "nobody goes on watching it");
        make_room(&mut sessions);
        assert_eq!(sessions.len(), MAX_SESSIONS - 1, "there is room");
    }
}
