//! Takes the rest of a request that was answered before it was read, such as a large one without a key.

use super::state::Gateway;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// How long the rest may take, and how many times the body limit it may be.
const REST_TIME: Duration = Duration::from_secs(2);
const REST_LIMITS: usize = 4;

/// Reads what the handler left of the body before the answer leaves. A connection that is closed with bytes unread is
/// reset, and then many clients see a broken pipe and never the answer that says why.
pub async fn read_the_rest(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    // Who asks for permission to send has sent nothing yet, and reading would be the permission.
    if request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let left = Arc::default();
    let request = request.map(|body| {
        let (body, back) = (Some(body.into_data_stream()), Arc::clone(&left));
        Body::from_stream(Lent { body, back })
    });
    let response = next.run(request).await;
    let rest = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut rest) = rest {
        let most = gateway.settings.body_limit.saturating_mul(REST_LIMITS);
        let reading = async {
            let mut read = 0_usize;
            while let Some(Ok(bytes)) = rest.next().await {
                read = read.saturating_add(bytes.len());
                if read > most {
                    break;
                }
            }
        };
        // What has not come by then is given up, and the answer perhaps with it.
        let _ = timeout(REST_TIME, reading).await;
    }
    response
}

/// A body that comes back when its reader drops it.
struct Lent {
    body: Option<BodyDataStream>,
    back: Arc<Mutex<Option<BodyDataStream>>>,
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.body.as_mut().map_or(Poll::Ready(None), |body| body.poll_next_unpin(context));
        if !matches!(next, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.body = None;
        }
        next
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}
