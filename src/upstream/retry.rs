//! A chain of models: repeats a call that failed, then falls back to the next model, as long as nothing was said yet.

use super::health::UpstreamHealth;
use crate::core::failure::{Failure, FailureKind};
use crate::core::format::FormatSupport;
use crate::core::ports::upstream::{ModelRequest, Upstream, UpstreamEvent, UpstreamStream};
use futures_util::{StreamExt, stream};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest pause before a repeat, but for an upstream that asks for more itself.
const MAX_DELAY: Duration = Duration::from_secs(8);

/// An upstream that asks for more than this is as good as down: the next model has its turn.
const MAX_RETRY_AFTER: u64 = 30;

/// Models in the order of preference.
pub struct Chain {
    candidates: Arc<[Candidate]>,
}

/// One model of a chain.
pub struct Candidate {
    pub upstream: Arc<dyn Upstream>,
    /// The upstream's name in the configuration.
    pub name: Arc<str>,
    pub model: Arc<str>,
    /// How often a failed call is made again.
    pub max_retries: u32,
    /// The pause before the first repeat; it doubles with each.
    pub base_delay: Duration,
    pub health: Arc<UpstreamHealth>,
    pub window: LearnedWindow,
}

/// The tokens one model takes, as its last refusal for length has told; 0 while it has not.
#[derive(Debug, Default)]
pub struct LearnedWindow(AtomicU64);

impl LearnedWindow {
    fn learn(&self, failure: &Failure) {
        if let Some(window) = failure.overflow.as_ref().and_then(|overflow| overflow.window) {
            self.0.store(window, Ordering::Relaxed);
        }
    }

    /// A call that had more shows that the window has grown since, with a new model or another setting.
    fn disprove(&self, event: &UpstreamEvent) {
        if let UpstreamEvent::Usage(usage) = event
            && self.get().is_some_and(|window| usage.total() > window)
        {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|window| *window > 0)
    }
}

impl Chain {
    /// A chain of one model at least; of none it would never answer.
    pub fn new(first: Candidate, fallbacks: impl IntoIterator<Item = Candidate>) -> Self {
        Self { candidates: std::iter::once(first).chain(fallbacks).collect() }
    }
}

impl Upstream for Chain {
    fn call(&self, request: ModelRequest) -> UpstreamStream {
        let candidates = Arc::clone(&self.candidates);
        // In a box, as it is handed over with each event.
        let call = Box::new(Call {
            candidates,
            request,
            at: 0,
            repeats: 0,
            attempt: None,
            opened: false,
            said: false,
            refusal: None,
        });
        let events = stream::unfold(call, |mut call| async move { Some((call.next().await?, call)) });
        Box::pin(events.fuse())
    }

    /// Nobody knows beforehand whose turn it will be, so the weakest counts.
    fn format_support(&self) -> FormatSupport {
        self.candidates.iter().map(|candidate| candidate.upstream.format_support()).min().unwrap_or_default()
    }

    /// The largest of all its models, as the longest conversation goes there. One that is not known may be larger still.
    fn window(&self) -> Option<u64> {
        let windows = self.candidates.iter().map(|candidate| candidate.window.get());
        windows.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

struct Call {
    candidates: Arc<[Candidate]>,
    request: ModelRequest,
    /// The candidate whose turn it is; past the last when the call is over.
    at: usize,
    /// How often this candidate's call has been made again.
    repeats: u32,
    attempt: Option<UpstreamStream>,
    /// `Opened` has been told, which happens once however many attempts there are.
    opened: bool,
    /// A piece of the answer has been told: another attempt would say it twice.
    said: bool,
    /// Of the refusals for length, that of the model that takes the most.
    refusal: Option<Failure>,
}

/// What follows a failed attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Repeat(Duration),
    Fallback,
    Fail,
}

impl Call {
    async fn next(&mut self) -> Option<Result<UpstreamEvent, Failure>> {
        loop {
            let candidate = self.candidates.get(self.at)?;
            let attempt = self.attempt.get_or_insert_with(|| {
                let Candidate { upstream, name, model, .. } = candidate;
                tracing::debug!(upstream = %name, %model, attempt = self.repeats + 1, "calling the model");
                upstream.call(self.request.clone())
            });
            let failure = match attempt.next().await {
                Some(Ok(UpstreamEvent::Opened)) if std::mem::replace(&mut self.opened, true) => continue,
                Some(Ok(event)) => {
                    self.said |= is_content(&event);
                    candidate.window.disprove(&event);
                    if let UpstreamEvent::Finish(_) = event {
                        candidate.health.succeeded();
                    }
                    return Some(Ok(event));
                }
                None => return None,
                Some(Err(failure)) => failure,
            };
            self.attempt = None;
            candidate.health.failed(&failure);
            candidate.window.learn(&failure);
            let next = self.after(candidate, &failure);
            report(candidate, self.repeats, &failure, &next);
            match next {
                Next::Repeat(delay) => {
                    self.repeats += 1;
                    tokio::time::sleep(delay).await;
                }
                Next::Fallback => {
                    self.at += 1;
                    self.repeats = 0;
                    if failure.kind == FailureKind::ContextLength {
                        self.refusal = Some(wider(self.refusal.take(), failure));
                    }
                }
                Next::Fail => {
                    self.at = self.candidates.len();
                    return Some(Err(match failure.kind {
                        FailureKind::ContextLength => wider(self.refusal.take(), failure),
                        _ => failure,
                    }));
                }
            }
        }
    }

    fn after(&self, candidate: &Candidate, failure: &Failure) -> Next {
        use FailureKind::*;
        let elsewhere = if self.at + 1 < self.candidates.len() { Next::Fallback } else { Next::Fail };
        match failure.kind {
            _ if self.said => Next::Fail,
            // Another attempt, here or elsewhere, would meet the same request.
            InvalidRequest | InvalidOutput | ShuttingDown | StoreUnavailable | Internal => Next::Fail,
            // The next model may have a larger window.
            ContextLength | UpstreamAuth | UpstreamNotFound => elsewhere,
            RateLimited | UpstreamUnavailable | UpstreamTimeout | UpstreamBroken => {
                let asked = failure.retry_after.unwrap_or(0);
                if self.repeats >= candidate.max_retries || asked > MAX_RETRY_AFTER {
                    return elsewhere;
                }
                Next::Repeat(backoff(candidate.base_delay, self.repeats).max(Duration::from_secs(asked)))
            }
        }
    }
}

/// Of two refusals for length the one that leaves more room: that much of the conversation would have been taken.
fn wider(one: Option<Failure>, other: Failure) -> Failure {
    let room = |failure: &Failure| failure.overflow.as_ref().and_then(|overflow| overflow.window);
    one.filter(|one| room(one) > room(&other)).unwrap_or(other)
}

fn is_content(event: &UpstreamEvent) -> bool {
    use UpstreamEvent::*;
    match event {
        Text(_) | Logprobs(_) | Refusal(_) | Reasoning(_) | Sealed { .. } | ToolCall(_) => true,
        Opened | Usage(_) | Finish(_) => false,
    }
}

/// A pause that doubles with each repeat, less a random part of up to a half: calls that failed together do not
/// come back together.
fn backoff(base: Duration, repeats: u32) -> Duration {
    let whole = base.saturating_mul(1 << repeats.min(16)).min(MAX_DELAY);
    // The standard library's only source of randomness; good enough to spread calls.
    let random = RandomState::new().hash_one(()) as u32;
    whole.mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
}

fn report(candidate: &Candidate, repeats: u32, failure: &Failure, next: &Next) {
    let Candidate { name, model, .. } = candidate;
    let (kind, attempt) = (failure.kind, repeats + 1);
    // A refused request is the client's affair.
    if matches!(kind, FailureKind::InvalidRequest | FailureKind::ContextLength) {
        tracing::debug!(upstream = %name, %model, attempt, ?kind, ?next, "the upstream refused the request");
    } else {
        tracing::warn!(upstream = %name, %model, attempt, ?kind, ?next, "model call failed: {}", failure.message);
    }
    tracing::debug!(said = failure.said, "what the upstream said");
}
