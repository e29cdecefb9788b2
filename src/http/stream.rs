//! Runs as answers: the event stream, and the wait for its first sign of life.

use super::error::Rejection;
use crate::core::event::{Outcome, RunEvent};
use crate::core::failure::{Failure, FailureKind};
use crate::dialect::Projection;
use crate::dialect::error::ApiError;
use crate::dialect::sse::KEEPALIVE;
use crate::runs::Subscription;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;

/// Streams a run. A failure before the headers have left is an HTTP status: they wait for the upstream to accept the
/// call, but no longer than `header_wait`.
pub async fn answer(
    mut subscription: Subscription,
    projection: impl Projection + 'static,
    header_wait: Duration,
    keepalive: Duration,
) -> Result<Response, Rejection> {
    let mut feed = Feed { frames: VecDeque::new(), projection, subscription: None, keepalive };
    feed.frames.extend(feed.projection.open());
    match timeout(header_wait, subscription.events.recv()).await {
        Ok(Some(RunEvent::Finished { outcome: Outcome::Failed { failure } })) => {
            return Err(ApiError::from(&failure).into());
        }
        Ok(Some(event)) => feed.take(&event),
        Ok(None) => return Err(ApiError::from(&vanished()).into()),
        Err(_) => {}
    }
    feed.subscription = Some(subscription);
    let body = Body::from_stream(unfold(feed, |mut feed| async move {
        let frame = feed.next().await?;
        Some((Ok::<Bytes, Infallible>(frame), feed))
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

/// What remains to be written. It is pulled by the connection, so a slow reader holds up its own run and nothing else.
struct Feed<P> {
    frames: VecDeque<Bytes>,
    projection: P,
    /// `None` once the run is over. Dropping it with the connection cancels the run.
    subscription: Option<Subscription>,
    keepalive: Duration,
}

impl<P: Projection> Feed<P> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            let events = &mut self.subscription.as_mut()?.events;
            match timeout(self.keepalive, events.recv()).await {
                Ok(Some(event)) => self.take(&event),
                Ok(None) => {
                    self.subscription = None;
                    self.take(&RunEvent::Finished { outcome: Outcome::Failed { failure: vanished() } });
                }
                Err(_) => return Some(KEEPALIVE),
            }
        }
    }

    fn take(&mut self, event: &RunEvent) {
        self.frames.extend(self.projection.on(event));
        if matches!(event, RunEvent::Finished { .. }) {
            self.subscription = None;
        }
    }
}

/// For a run that ended without a word, which takes a fault of ours.
pub fn vanished() -> Failure {
    Failure::new(FailureKind::Internal, "The run ended unexpectedly.")
}
