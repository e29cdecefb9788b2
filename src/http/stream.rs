//! Runs as answers: the event stream, and the wait for its first sign of life.

use super::error::Rejection;
use crate::core::event::{Outcome, RunEvent};
use crate::core::failure::{Failure, FailureKind};
use crate::core::journal::Told;
use crate::dialect::Projection;
use crate::dialect::error::ApiError;
use crate::dialect::sse::KEEPALIVE;
use crate::runs::Listener;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::unfold;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::{timeout, timeout_at};

/// Writes that may follow one another without a pause, and how long one is. Models are slower, and nobody reads as fast.
const HASTY: u32 = 3;
const PAUSE: Duration = Duration::from_millis(5);

/// What there is to tell a client.
pub enum Next {
    Frame(Bytes),
    /// Nothing, for as long as one may be silent.
    Silence,
}

/// Streams a run whatever becomes of it: a failure is told in the stream.
pub fn answer(listener: Listener, projection: impl Projection + 'static, keepalive: Duration) -> Response {
    Feed::new(listener, projection, keepalive).into_response()
}

/// Streams a run. A failure before the headers have left is an HTTP status: they wait for the upstream to accept the
/// call, but no longer than `header_wait`.
pub async fn answer_once_alive(
    listener: Listener,
    projection: impl Projection + 'static,
    header_wait: Duration,
    keepalive: Duration,
) -> Result<Response, Rejection> {
    let mut feed = Feed::new(listener, projection, keepalive);
    if let Ok(Err(failure)) = timeout(header_wait, feed.sign_of_life()).await {
        return Err(ApiError::from(&failure).into());
    }
    Ok(feed.into_response())
}

/// What remains to be written. It is pulled by the connection, so a slow reader holds up its own run and nothing else.
pub struct Feed<P> {
    frames: VecDeque<Bytes>,
    projection: P,
    /// `None` once the run is over. Dropping it with the connection leaves the run alone.
    listener: Option<Listener>,
    keepalive: Duration,
    /// When the last frame left. Most of what a run does makes no frame, so its events cannot tell.
    last_frame: Instant,
    /// Writes without a pause between them.
    hasty: u32,
    /// The run goes on in another process.
    is_left: bool,
}

impl<P: Projection + 'static> Feed<P> {
    pub fn new(listener: Listener, mut projection: P, keepalive: Duration) -> Self {
        let (frames, last_frame) = (projection.open().into(), Instant::now());
        Self { frames, projection, listener: Some(listener), keepalive, last_frame, hasty: 0, is_left: false }
    }

    /// Waits until the upstream has taken the call, or the run has ended without that. Can be dropped at any time.
    async fn sign_of_life(&mut self) -> Result<(), Failure> {
        while let Some(listener) = &mut self.listener {
            let told = listener.next().await;
            if let Some(RunEvent::Finished { outcome: Outcome::Failed { failure } }) =
                told.as_ref().map(|told| &told.event)
            {
                return Err(failure.clone());
            }
            let is_started = told.as_ref().is_some_and(|told| told.event == RunEvent::Started);
            self.take(told);
            if is_started {
                break;
            }
        }
        Ok(())
    }

    fn into_response(self) -> Response {
        let body = Body::from_stream(
            unfold(self, |mut feed| async move {
                let frame = match feed.next_to_write().await {
                    Some(Next::Frame(frame)) => frame,
                    Some(Next::Silence) => KEEPALIVE,
                    // Broken off and not ended, so that the client takes it up again where the run goes on.
                    None if std::mem::take(&mut feed.is_left) => {
                        return Some((Err(io::ErrorKind::ConnectionAborted), feed));
                    }
                    None => return None,
                };
                Some((Ok::<Bytes, io::ErrorKind>(frame), feed))
            })
            .map_err(io::Error::from),
        );
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        (headers, body).into_response()
    }

    /// `None` once all has been told. Can be dropped at any time.
    pub async fn next(&mut self) -> Option<Next> {
        let next = loop {
            if let Some(frame) = self.frames.pop_front() {
                break Next::Frame(frame);
            }
            let listener = self.listener.as_mut()?;
            let patience = self.keepalive.saturating_sub(self.last_frame.elapsed());
            match timeout(patience, listener.next()).await {
                Ok(told) => self.take(told),
                Err(_) => break Next::Silence,
            }
        };
        self.last_frame = Instant::now();
        Some(next)
    }

    /// The same for a connection. A write costs more than what is in it, so of an upstream that says much at once the first
    /// frames leave one by one and what follows them together.
    async fn next_to_write(&mut self) -> Option<Next> {
        // What comes without a wait is in the same write.
        if let Some(frame) = self.ready() {
            self.last_frame = Instant::now();
            return Some(Next::Frame(frame));
        }
        let pause = self.last_frame + PAUSE;
        let next = self.next().await?;
        self.hasty = if Instant::now() < pause { self.hasty.saturating_add(1) } else { 0 };
        if let Some(listener) = self.listener.as_ref().filter(|_| self.hasty >= HASTY) {
            let _ = timeout_at(pause.into(), listener.pause()).await;
        }
        Some(next)
    }

    /// The next frame, if there is one already.
    fn ready(&mut self) -> Option<Bytes> {
        while self.frames.is_empty() {
            let told = self.listener.as_mut()?.ready()?;
            self.take(Some(told));
        }
        self.frames.pop_front()
    }

    fn take(&mut self, told: Option<Told>) {
        if told.is_none() && self.listener.take_if(|listener| listener.log().is_left()).is_some() {
            self.is_left = true;
            return;
        }
        if let Some(told) = &told {
            self.projection.number(told.sequence);
        }
        let event = told.map_or_else(vanished, |told| told.event);
        self.frames.extend(self.projection.on(&event));
        if matches!(event, RunEvent::Finished { .. }) {
            self.listener = None;
        }
    }
}

/// For a run that ended without a word, which takes a fault of ours.
fn vanished() -> RunEvent {
    let failure = Failure::new(FailureKind::Internal, "The run ended unexpectedly.");
    RunEvent::Finished { outcome: Outcome::Failed { failure } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::Delta;
    use crate::core::journal::Journal;
    use futures_util::FutureExt;
    use std::sync::Arc;

    /// Each word is a frame.
    struct Words;

    impl Projection for Words {
        fn open(&mut self) -> Vec<Bytes> {
            vec!["begin".into()]
        }

        fn on(&mut self, event: &RunEvent) -> Vec<Bytes> {
            match event {
                RunEvent::Delta { delta, .. } => vec![delta.text().unwrap_or_default().to_owned().into()],
                _ => vec!["end".into()],
            }
        }
    }

    #[test]
    fn what_was_told_at_once_is_in_one_write() {
        let words = ["a", "b", "c", "d", "e", "f"];
        let said = words.map(|word| RunEvent::Delta { index: 0, delta: Delta::Text(word.to_owned()) });
        let mut journal = Journal::default();
        for event in said.into_iter().chain([RunEvent::Finished { outcome: Outcome::Completed }]) {
            journal.push(Told { sequence: journal.len(), event });
        }
        let mut feed = Feed::new(Listener::to_journal(Arc::new(journal)), Words, Duration::from_secs(60));
        let mut frames = Vec::new();
        // Where one had to be waited for, the connection would write what it has.
        while let Some(Some(Next::Frame(frame))) = feed.next_to_write().now_or_never() {
            frames.push(frame);
        }
        assert_eq!(frames, ["begin", "a", "b", "c", "d", "e", "f", "end"]);
    }
}
