//! Drives one run: carries out the machine's effects and feeds the results back, until the run is over.

use super::admission::Permit;
use super::format::AnswerCheck;
use super::toolbox::Toolbox;
use crate::core::event::{Outcome, RunEvent};
use crate::core::item::{Item, ToolCall};
use crate::core::ports::store::Store;
use crate::core::ports::tool::ToolError;
use crate::core::ports::upstream::{Upstream, UpstreamStream};
use crate::core::run::{Cancel, Effect, Input, Limits, Machine};
use crate::dialect::responses::record::Record;
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

pub struct Driver {
    pub machine: Machine,
    pub upstream: Arc<dyn Upstream>,
    pub toolbox: Toolbox,
    pub answer: AnswerCheck,
    pub store: Arc<dyn Store>,
    pub principal: Arc<str>,
    /// The run's input, for finding its session.
    pub history: Vec<Arc<Item>>,
    pub record: Option<Record>,
    /// Bounded: while it is full nothing is read from the upstream.
    pub events: mpsc::Sender<RunEvent>,
    /// A place among the events for the last one: the end of a run is told however full the channel is.
    pub last_event: Option<mpsc::OwnedPermit<RunEvent>>,
    /// Given back before the end is told, so that a client that asks again at once is let in.
    pub permit: Option<Permit>,
    pub slow_client_timeout: Duration,
    pub shutdown: CancellationToken,
    pub deadline: Instant,
}

/// What the driver holds open for the machine while the run goes on.
struct Held {
    upstream: Option<UpstreamStream>,
    deadline: Pin<Box<Sleep>>,
    outcome: Option<Outcome>,
    /// The listener is gone or takes nothing any more: what the run still says is for its record alone.
    unheard: bool,
}

impl Driver {
    /// Ends with the run's outcome, once it has let go of everything that the run had started.
    pub async fn drive(mut self) -> Outcome {
        let deadline = Box::pin(sleep_until(self.deadline));
        let mut held = Held { upstream: None, deadline, outcome: None, unheard: false };
        let mut input = Input::Submitted;
        loop {
            self.carry_out(input, &mut held).await;
            if let Some(outcome) = held.outcome {
                return outcome;
            }
            input = self.next_input(&mut held).await;
        }
    }

    async fn next_input(&mut self, held: &mut Held) -> Input {
        let upstream = async {
            match &mut held.upstream {
                Some(stream) => stream.next().await,
                None => std::future::pending().await,
            }
        };
        let tools_idle = self.toolbox.is_idle();
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Input::Cancelled(Cancel::Shutdown),
            () = self.events.closed() => Input::Cancelled(Cancel::Client),
            () = held.deadline.as_mut() => {
                // Whatever the run does with its time being over, it must not take much more.
                held.deadline = Box::pin(sleep(Limits::LAST_CALL));
                Input::Deadline
            }
            event = upstream => match event {
                Some(Ok(event)) => Input::Upstream(event),
                Some(Err(failure)) => {
                    held.upstream = None;
                    Input::UpstreamClosed(Err(failure))
                }
                None => {
                    held.upstream = None;
                    Input::UpstreamClosed(Ok(()))
                }
            },
            Some(done) = self.toolbox.next(), if !tools_idle => {
                // The client is told no more than that, so this is where the operator learns of it.
                if let Err(ToolError::Fatal(error)) = &done.result {
                    tracing::error!(call = done.call_id, error, "a tool failed for good");
                }
                Input::ToolDone(done)
            }
        }
    }

    /// Feeds one input and carries out what follows from it, inputs that arise on the way included.
    async fn carry_out(&mut self, input: Input, held: &mut Held) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.machine.on(input) {
                match effect {
                    // The cancel is on its way to the machine, and nothing more may begin before it is there.
                    Effect::CallUpstream(_) | Effect::RunTool(_) | Effect::CheckAnswer(_) if held.unheard => {}
                    Effect::CallUpstream(request) => held.upstream = Some(self.upstream.call(request)),
                    Effect::RunTool(call) => inputs.push_back(self.run_tool(&call).await),
                    Effect::CheckAnswer(text) => inputs.push_back(self.check_answer(text).await),
                    Effect::Abort => {
                        held.upstream = None;
                        self.toolbox.abort();
                    }
                    Effect::Emit(event) => {
                        self.keep(&event).await;
                        if let RunEvent::Finished { outcome } = &event {
                            held.outcome = Some(outcome.clone());
                            self.permit = None;
                            if let Some(place) = self.last_event.take() {
                                place.send(event);
                            }
                        } else {
                            inputs.extend(self.send(event, held).await.err().map(Input::Cancelled));
                        }
                    }
                }
            }
        }
    }

    async fn run_tool(&mut self, call: &ToolCall) -> Input {
        tracing::debug!(tool = call.name, call = call.call_id, "tool call");
        match self.toolbox.start(call, &self.history).await {
            Ok(doing) => Input::ToolStarted { call_id: call.call_id.clone(), doing },
            Err(done) => {
                match &done.result {
                    Err(ToolError::Fatal(error)) => tracing::error!(tool = call.name, error, "tool call not started"),
                    // What the model is told may quote what the client said.
                    told => tracing::debug!(tool = call.name, ?told, "tool call not started"),
                }
                Input::ToolDone(done)
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
    async fn keep(&mut self, event: &RunEvent) {
        if let Some(record) = &mut self.record {
            record.on(event);
        }
        match event {
            RunEvent::Waiting { call_ids } => {
                let turn = self.machine.output().into();
                if let Err(error) = self.store.keep_turn(&self.principal, call_ids, turn).await {
                    tracing::error!(%error, "a turn could not be kept; the follow-up goes on without the server's part of it");
                }
            }
            RunEvent::Finished { .. } => {
                self.toolbox.remember(&self.history, self.machine.output()).await;
                self.keep_response().await;
            }
            _ => {}
        }
    }

    async fn keep_response(&self) {
        let Some(record) = &self.record else { return };
        let stored = record.stored(self.machine.output());
        if let Err(error) = self.store.keep_response(&self.principal, stored).await {
            tracing::error!(%error, "a response could not be stored; no request can go on from it");
        }
    }

    /// Hands an event to the listener, waiting for it as long as it may be slow.
    async fn send(&self, event: RunEvent, held: &mut Held) -> Result<(), Cancel> {
        if held.unheard {
            return Ok(());
        }
        let sent = match self.events.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Cancel::Client),
            Err(TrySendError::Full(event)) => tokio::select! {
                sent = self.events.send(event) => sent.map_err(|_| Cancel::Client),
                () = sleep(self.slow_client_timeout) => Err(Cancel::SlowClient),
                () = self.shutdown.cancelled() => Err(Cancel::Shutdown),
            },
        };
        held.unheard = sent.is_err();
        sent
    }
}
