//! Drives one run: carries out the machine's effects and feeds the results back, until the run is over.

use super::admission::Permit;
use super::format::AnswerCheck;
use super::live::{LiveRun, Presence};
use super::open_turns::OpenTurns;
use super::scribe::Scribe;
use super::toolbox::{Ready, Toolbox};
use super::turns::Place;
use crate::core::event::{Outcome, RunEvent};
use crate::core::failure::Failure;
use crate::core::item::{Item, Origin, ToolCall};
use crate::core::ports::store::StoreError;
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::{Upstream, UpstreamEvent, UpstreamStream};
use crate::core::run::{Cancel, Effect, Input, Limits, Machine, OnDisconnect, ToolDone};
use futures_util::{FutureExt, StreamExt};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

pub struct Driver {
    pub machine: Machine,
    pub upstream: Arc<dyn Upstream>,
    pub toolbox: Toolbox,
    pub answer: AnswerCheck,
    pub open_turns: Arc<OpenTurns>,
    /// The client wants nothing kept.
    pub off_record: bool,
    /// Where the run is known to others, and its log.
    pub presence: Presence,
    /// The run's input, for finding its session.
    pub history: Vec<Arc<Item>>,
    pub scribe: Scribe,
    pub on_disconnect: OnDisconnect,
    /// The link of a stored chain that the run goes on from.
    pub previous: Option<String>,
    /// Given back before the end is told, so that a client that asks again at once is let in; the place in a conversation
    /// too, once what the run has added to it is stored.
    pub permit: Option<Permit>,
    pub place: Option<Place>,
    /// The daemon is to stop.
    pub draining: CancellationToken,
    /// It stops now.
    pub shutdown: CancellationToken,
    pub deadline: Instant,
}

/// How many things may happen to a run before it looks around: an upstream that never pauses must not keep it from being
/// ended. To look costs as much as a word of the model.
const IN_A_ROW: u32 = 16;

/// What comes next.
enum Next {
    Input(Input),
    /// What was being written is, or is not.
    Written(Result<(), StoreError>),
    /// The daemon is to stop, and another process will go on with the run.
    Leave,
}

/// What the driver holds open for the machine while the run goes on.
struct Held {
    upstream: Option<UpstreamStream>,
    deadline: Pin<Box<Sleep>>,
    /// How often the run has gone on without a look at its [`Signals`].
    in_a_row: u32,
    outcome: Option<Outcome>,
    /// A turn waits for its client, and the server's part of it could not be put away.
    unkept: bool,
    /// The listener is gone or takes nothing any more: what the run still says is for its record alone.
    unheard: bool,
}

/// What may end a run from outside, or have it left.
struct Signals<'a> {
    shutdown: &'a CancellationToken,
    draining: Option<&'a CancellationToken>,
    may_leave: bool,
    live: &'a LiveRun,
    on_disconnect: OnDisconnect,
}

impl Signals<'_> {
    async fn next(&self, deadline: &mut Pin<Box<Sleep>>) -> Next {
        let draining = async {
            match self.draining {
                Some(draining) => draining.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => match self.may_leave {
                true => Next::Leave,
                false => Next::Input(Input::Cancelled(Cancel::Shutdown)),
            },
            () = draining => Next::Leave,
            () = self.live.asked.cancelled() => Next::Input(Input::Cancelled(Cancel::Asked)),
            () = self.live.log.abandoned(self.on_disconnect) => Next::Input(Input::Cancelled(Cancel::Disconnected)),
            () = deadline.as_mut() => {
                // Whatever the run does with its time being over, it must not take much more.
                *deadline = Box::pin(sleep(Limits::LAST_CALL));
                Next::Input(Input::Deadline)
            }
        }
    }
}

/// What the model says next; nothing while none is asked.
async fn said(upstream: &mut Option<UpstreamStream>) -> Option<Result<UpstreamEvent, Failure>> {
    match upstream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

impl Driver {
    /// Ends with the run's outcome, once it has let go of everything that the run had started; `None` if the run was left
    /// for another process to go on with. `first` is how the run begins, or goes on. In a box, as the future of a run is
    /// moved about before it begins, and is there for as long as the run.
    pub async fn drive(mut self: Box<Self>, first: Input) -> Option<Outcome> {
        let live = Arc::clone(&self.presence.live);
        let deadline = Box::pin(sleep_until(self.deadline));
        let mut held = Held { upstream: None, deadline, in_a_row: 0, outcome: None, unkept: false, unheard: false };
        let mut next = Some(first);
        while let Some(input) = next {
            self.carry_out(input, &mut held).await;
            if let Some(outcome) = held.outcome {
                return Some(outcome);
            }
            next = self.next_input(&live, &mut held).await;
        }
        self.scribe.leave().await;
        None
    }

    /// What the machine is to hear next; `None` once another process can go on with the run.
    async fn next_input(&mut self, live: &LiveRun, held: &mut Held) -> Option<Input> {
        loop {
            // What comes without a wait is written together with what waits for it already.
            let mut at_once = None;
            if self.scribe.has_to_write() {
                at_once = self.next(live, held).now_or_never();
            }
            let next = match at_once {
                Some(next) => next,
                None => {
                    self.scribe.begin_to_write();
                    self.next(live, held).await
                }
            };
            let told = match next {
                Next::Input(input) => return Some(input),
                Next::Written(result) => self.scribe.tell_written(result).await,
                Next::Leave => match self.scribe.write().await {
                    Ok(()) => return None,
                    stopped => stopped,
                },
            };
            if let Err(cancel) = told {
                held.unheard = true;
                return Some(Input::Cancelled(cancel));
            }
        }
    }

    async fn next(&mut self, live: &LiveRun, held: &mut Held) -> Next {
        let Held { upstream, deadline, in_a_row, .. } = held;
        let tools_idle = self.toolbox.is_idle();
        let may_leave = self.on_disconnect == OnDisconnect::Detach && self.scribe.can_be_left();
        let signals = Signals {
            shutdown: &self.shutdown,
            // Nothing is lost by it but the model call under way, which is made again.
            draining: (may_leave && tools_idle).then_some(&self.draining),
            may_leave,
            live,
            on_disconnect: self.on_disconnect,
        };
        *in_a_row = in_a_row.saturating_add(1) % IN_A_ROW;
        if *in_a_row == 0
            && let Some(next) = signals.next(deadline).now_or_never()
        {
            return next;
        }
        tokio::select! {
            biased;
            result = self.scribe.written() => Next::Written(result),
            event = said(upstream) => Next::Input(match event {
                Some(Ok(event)) => Input::Upstream(event),
                over => {
                    *upstream = None;
                    Input::UpstreamClosed(over.map_or(Ok(()), |failed| failed.map(drop)))
                }
            }),
            next = signals.next(deadline) => next,
            Some(input) = self.toolbox.next(), if !tools_idle => {
                // The client is told no more than that, so this is where the operator learns of it.
                if let Input::ToolDone(ToolDone { call_id, result: Err(ToolError::Fatal(error)) }) = &input {
                    tracing::error!(call = call_id, error, "a tool failed for good");
                }
                Next::Input(input)
            }
        }
    }

    /// Feeds one input and carries out what follows from it, inputs that arise on the way included.
    async fn carry_out(&mut self, input: Input, held: &mut Held) {
        let (mut first, mut inputs) = (Some((input, None)), VecDeque::new());
        while let Some((input, ready)) = first.take().or_else(|| inputs.pop_front()) {
            for effect in self.machine.on(input) {
                match effect {
                    // The cancel is on its way to the machine, and nothing more may begin before it is there.
                    Effect::CallUpstream(_) | Effect::RunTool(_) | Effect::CheckAnswer(_) if held.unheard => {}
                    Effect::CallUpstream(request) => held.upstream = Some(self.upstream.call(request)),
                    Effect::RunTool(call) => inputs.push_back(self.prepare(&call).await),
                    Effect::CheckAnswer(text) => inputs.push_back((self.check_answer(text).await, None)),
                    Effect::Abort => {
                        held.upstream = None;
                        self.toolbox.abort();
                    }
                    Effect::Emit(event) => {
                        let event = self.keep(event, held).await;
                        if let RunEvent::Finished { outcome } = &event {
                            held.outcome = Some(outcome.clone());
                            // Before the end is told, so that a client that asks again at once is let in.
                            self.permit = None;
                            let turn = self.place.as_ref().and_then(Place::fence);
                            self.scribe.tell_end(outcome.clone(), self.previous.take(), turn).await;
                            self.place = None;
                        } else {
                            let stopped = self.tell(event, held).await.err();
                            inputs.extend(stopped.map(|cancel| (Input::Cancelled(cancel), None)));
                        }
                    }
                }
            }
            // Only now that its start has been told may a tool do what it is to do.
            if let Some(ready) = ready.filter(|_| !held.unheard) {
                let written = match ready.has_effects() {
                    true => self.scribe.write_before_effects().await,
                    false => Ok(()),
                };
                match written {
                    Ok(()) => self.toolbox.launch(*ready),
                    Err(cancel) => {
                        held.unheard = true;
                        inputs.push_back((Input::Cancelled(cancel), None));
                    }
                }
            }
        }
    }

    /// Makes a call ready, and gives what the machine is to hear of it.
    async fn prepare(&mut self, call: &ToolCall) -> (Input, Option<Box<Ready>>) {
        tracing::debug!(tool = call.name, call = call.call_id, "tool call");
        match self.toolbox.prepare(call, &self.history).await {
            Ok(ready) => {
                let (call_id, doing) = (ready.call_id.clone(), ready.doing.clone());
                (Input::ToolDoing { call_id, doing }, Some(Box::new(ready)))
            }
            Err(done) => {
                match &done.result {
                    Err(ToolError::Fatal(error)) => tracing::error!(tool = call.name, error, "tool call not started"),
                    // What the model is told may quote what the client said.
                    told => tracing::debug!(tool = call.name, ?told, "tool call not started"),
                }
                (Input::ToolDone(done), None)
            }
        }
    }

    async fn check_answer(&self, text: String) -> Input {
        let verdict = self.answer.check(text).await;
        // What is wrong may quote the answer.
        tracing::debug!(?verdict, "answer checked");
        Input::AnswerChecked(verdict)
    }

    /// Puts away what the next request may ask for, before the client can make it.
    /// Gives the event back as it is to be told.
    async fn keep(&mut self, event: RunEvent, held: &mut Held) -> RunEvent {
        let live = &self.presence.live;
        match event {
            RunEvent::Waiting { ref call_ids } => {
                let turn = self.machine.output().into();
                if let Err(error) = self.open_turns.keep(&live.principal, call_ids, turn, self.off_record).await {
                    tracing::error!(%error, "a turn that waits for its client could not be kept");
                    // What the client has seen itself it can bring back itself.
                    held.unkept = self.machine.output().iter().any(|item| is_unseen(item));
                }
                event
            }
            RunEvent::Finished { ref outcome } => {
                // The follow-up would go on without what the server did.
                let unkept = held.unkept && *outcome == Outcome::ClientTools;
                self.toolbox.remember(&self.history, self.machine.output()).await;
                match self.scribe.end_writing().await {
                    Ok(()) if !unkept => event,
                    _ => RunEvent::Finished { outcome: self.machine.outcome_of(Cancel::Unrecorded) },
                }
            }
            _ => event,
        }
    }

    async fn tell(&mut self, event: RunEvent, held: &mut Held) -> Result<(), Cancel> {
        let told = self.scribe.tell(event).await;
        held.unheard |= told.is_err();
        told
    }
}

/// A client is never sent this, so it cannot bring it back.
fn is_unseen(item: &Item) -> bool {
    matches!(item, Item::ToolCall(call) if call.origin == Origin::Server)
}
