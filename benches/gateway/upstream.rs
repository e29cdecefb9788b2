//! The upstream: as little as can be between a socket and the bytes of an answer.

use super::answer::Answer;
use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use memchr::memmem;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

type Body = BoxBody<Bytes, Infallible>;

pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let tasks = TaskTracker::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let mut http = server::conn::http1::Builder::new();
        http.timer(TokioTimer::new());
        tasks.spawn(http.serve_connection(TokioIo::new(socket), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    if request.uri().path().ends_with("/models") {
        return Ok(json(Bytes::from_static(br#"{"object":"list","data":[{"id":"m","object":"model"}]}"#)));
    }
    let body = request.into_body().collect().await?.to_bytes();
    let answer = Answer::asked(&body);
    if memmem::find(&body, b"\"stream\":true").is_none() {
        return Ok(json(answer.object()));
    }
    let events = stream::iter(answer.events().into_iter().map(|event| Ok(Frame::data(event))));
    let body = if answer.delay.is_zero() {
        BodyExt::boxed(StreamBody::new(events))
    } else {
        // On a beat of its own: late events do not delay those after them.
        let (begun, delay) = (Instant::now(), answer.delay);
        let paced = events.enumerate().then(move |(index, event)| async move {
            sleep_until(begun + delay * index as u32).await;
            event
        });
        BodyExt::boxed(StreamBody::new(paced))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

fn json(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
