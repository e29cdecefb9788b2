//! The server tools of one run while they run.

use super::output;
use super::session::{Session, SessionFinder};
use crate::core::id::RunId;
use crate::core::item::{Item, ToolCall};
use crate::core::ports::tool::{Activity, Annotations, Tool, ToolContext, ToolError, Toolset, Who};
use crate::core::run::{Input, ToolDone};
use crate::core::text::ellipsis;
use crate::core::usage::Usage;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{RwLock, Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout};

/// Dropping it, or [`Toolbox::abort`], ends every call down to its last process.
pub struct Toolbox {
    tools: Arc<dyn Toolset>,
    who: Arc<Who>,
    run: RunId,
    bounds: Bounds,
    finder: SessionFinder,
    session: Option<Session>,
    /// Calls that are ready and not launched yet.
    ready: usize,
    running: JoinSet<ToolDone>,
    /// Calls by task, to know whose call it was when a task panics.
    calls: HashMap<Id, String>,
    /// A place for each call that may be at work; the others wait for one.
    places: Arc<Semaphore>,
    /// Held by all calls at work; a call that must be alone takes it for itself.
    company: Arc<RwLock<()>>,
    /// What calls say that they are doing, with their ids. Most runs have none, and the room for it would be the half of
    /// theirs.
    activity: Option<(mpsc::Sender<Doing>, mpsc::Receiver<Doing>)>,
    /// Words told since a call has ended, or since it was seen that none has.
    words: usize,
    /// What calls have spent and the run was not told yet.
    spent: Arc<Mutex<Usage>>,
    /// What is told next: it had to wait for what was spent before it.
    later: Option<Input>,
}

/// What calls get, where their tools say nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub tool_time: Duration,
    /// Bytes of text that a call hands to the model.
    pub tool_output: usize,
    /// The end of the run.
    pub deadline: Instant,
}

/// A call's id, and what it is doing.
type Doing = (Arc<str>, String);

/// A call that can be launched.
pub struct Ready {
    pub call_id: String,
    /// What it is about to do, in a few words.
    pub doing: String,
    tool: Arc<dyn Tool>,
    arguments: Value,
    context: ToolContext,
}

impl Ready {
    /// Its start must be on record before it is launched.
    pub fn has_effects(&self) -> bool {
        !self.tool.annotations().read_only
    }
}

/// Calls of one run that are at work at the same time: a model that asks for hundreds must not start hundreds of shells.
const MAX_AT_WORK: usize = 8;

/// Calls of one run that are taken at once. Nobody needs more, and each waits with its arguments in memory.
const MAX_CALLS: usize = 64;

/// A tool may say itself that its time was over; after this much more it is ended from outside.
const OVERTIME: Duration = Duration::from_secs(2);

/// Words of activity that may wait to be told, and characters of each. What is over that is lost.
const MAX_ACTIVITY: usize = 16;
const MAX_DOING: usize = 256;

impl Toolbox {
    pub fn new(tools: Arc<dyn Toolset>, who: Arc<Who>, run: RunId, bounds: Bounds, finder: SessionFinder) -> Self {
        Self {
            tools,
            who,
            run,
            bounds,
            finder,
            session: None,
            ready: 0,
            running: JoinSet::new(),
            calls: HashMap::new(),
            places: Arc::new(Semaphore::new(MAX_AT_WORK)),
            company: Arc::default(),
            activity: None,
            words: 0,
            spent: Arc::default(),
            later: None,
        }
    }

    /// Makes a call ready to be launched. `history` is the run's input.
    pub async fn prepare(&mut self, call: &ToolCall, history: &[Arc<Item>]) -> Result<Ready, ToolDone> {
        let fail = |error| ToolDone { call_id: call.call_id.clone(), result: Err(error) };
        let Some(tool) = self.tools.get(&call.name) else {
            return Err(fail(ToolError::Fatal(format!("the profile offers `{}` and has no such tool", call.name))));
        };
        if self.calls.len().saturating_add(self.ready) >= MAX_CALLS {
            let text =
                format!("Not run: at most {MAX_CALLS} calls are taken at once. Make it again when these have ended.");
            return Err(fail(ToolError::TellModel(text)));
        }
        let arguments = match self.arguments(call) {
            Ok(arguments) => arguments,
            Err(text) => return Err(fail(ToolError::TellModel(text))),
        };
        let session = match self.session.take() {
            Some(session) => session,
            None => match self.finder.find(history).await {
                Ok(session) => session,
                Err(error) => return Err(fail(ToolError::Fatal(error.to_string()))),
            },
        };
        let call_id: Arc<str> = call.call_id.as_str().into();
        let context = ToolContext {
            run: self.run,
            call_id: Arc::clone(&call_id),
            who: Arc::clone(&self.who),
            session: Arc::clone(&session.id),
            workspace: Arc::clone(&session.workspace),
            time_limit: tool.annotations().time_limit.unwrap_or(self.bounds.tool_time),
            activity: self.activity_of(call_id),
        };
        self.session = Some(session);
        self.ready = self.ready.saturating_add(1);
        Ok(Ready { call_id: call.call_id.clone(), doing: tool.summary(&arguments), tool, arguments, context })
    }

    fn activity_of(&mut self, call_id: Arc<str>) -> Activity {
        let (activity, _) = self.activity.get_or_insert_with(|| mpsc::channel(MAX_ACTIVITY));
        let (activity, spent) = (activity.clone(), Arc::clone(&self.spent));
        let tell = move |doing: String| {
            // What finds no room is lost, as a person could not have read it.
            let _ = activity.try_send((Arc::clone(&call_id), ellipsis(&doing, MAX_DOING)));
        };
        Activity::new(tell).counting(move |usage| *lock(&spent) += usage)
    }

    pub fn launch(&mut self, ready: Ready) {
        let Ready { call_id, tool, arguments, mut context, .. } = ready;
        self.ready = self.ready.saturating_sub(1);
        let Bounds { tool_output, deadline, .. } = self.bounds;
        let (places, company, id) = (Arc::clone(&self.places), Arc::clone(&self.company), call_id.clone());
        let task = self.running.spawn(async move {
            let Annotations { parallel, time_limit: own_time, output_limit, .. } = tool.annotations();
            let (_company, _alone) = match parallel {
                true => (Some(company.read().await), None),
                false => (None, Some(company.write().await)),
            };
            let _place = places.acquire_owned().await;
            if own_time.is_some() {
                // It may be longer than the run has left, and its tool can end in good order only if it knows.
                context.time_limit = context.time_limit.min(deadline.saturating_duration_since(Instant::now()));
            }
            let time_limit = context.time_limit;
            let result = match timeout(time_limit.saturating_add(OVERTIME), tool.call(arguments, context)).await {
                Ok(result) => result,
                Err(_) => {
                    let limit = time_limit.as_secs();
                    Err(ToolError::TellModel(format!("The call was ended: its time limit of {limit} s was reached.")))
                }
            };
            ToolDone { call_id, result: output::within(output_limit.unwrap_or(tool_output), result) }
        });
        self.calls.insert(task.id(), id);
    }

    fn arguments(&self, call: &ToolCall) -> Result<Value, String> {
        let arguments = serde_json::from_str(&call.arguments).map_err(|error| error.to_string())?;
        self.tools.check(&call.name, &arguments)?;
        Ok(arguments)
    }

    /// What the calls do, and the next one to end; `None` while none runs. Cancel safe.
    pub async fn next(&mut self) -> Option<Input> {
        if let Some(input) = self.later.take() {
            return Some(input);
        }
        let input = self.next_of_calls().await?;
        // Before the end of the call, which may be that of the run.
        match std::mem::take(&mut *lock(&self.spent)) {
            spent if spent == Usage::default() => Some(input),
            spent => {
                self.later = Some(input);
                Some(Input::ToolSpent(spent))
            }
        }
    }

    /// Words come first, as those of a call that has ended are told to nobody; but who talks without end must not keep
    /// the others from ending.
    async fn next_of_calls(&mut self) -> Option<Input> {
        if self.words >= MAX_ACTIVITY {
            self.words = 0;
            if let Some(ended) = self.running.try_join_next_with_id() {
                return Some(self.ended(ended));
            }
        }
        let words = async {
            match &mut self.activity {
                Some((_, words)) => words.recv().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some((call_id, doing)) = words, if !self.running.is_empty() => {
                self.words = self.words.saturating_add(1);
                Some(Input::ToolDoing { call_id: call_id.to_string(), doing })
            }
            ended = self.running.join_next_with_id() => Some(self.ended(ended?)),
        }
    }

    fn ended(&mut self, ended: Result<(Id, ToolDone), JoinError>) -> Input {
        Input::ToolDone(match ended {
            Ok((task, done)) => {
                self.calls.remove(&task);
                done
            }
            Err(error) => self.crashed(&error),
        })
    }

    fn crashed(&mut self, error: &JoinError) -> ToolDone {
        tracing::error!(%error, "a tool crashed");
        let call_id = self.calls.remove(&error.id()).unwrap_or_default();
        ToolDone {
            call_id,
            result: Err(ToolError::TellModel("The tool crashed. This is a fault of the server.".into())),
        }
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.later.is_none()
    }

    pub fn abort(&mut self) {
        self.running.abort_all();
        self.running.detach_all();
        self.calls.clear();
        self.later = None;
    }

    /// Lets the next turn of the conversation find this run's session.
    pub async fn remember(&self, history: &[Arc<Item>], output: &[Arc<Item>]) {
        if let Err(error) = self.finder.remember(self.session.as_ref(), history, output).await {
            tracing::error!(%error, "the session could not be remembered; the next turn gets a new workspace");
        }
    }
}

fn lock(spent: &Mutex<Usage>) -> MutexGuard<'_, Usage> {
    spent.lock().unwrap_or_else(PoisonError::into_inner)
}
