//! The baseline: a proxy on the daemon's own HTTP stack that reads nothing of what it passes on.

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

#[derive(Clone)]
struct Proxy {
    client: reqwest::Client,
    to: SocketAddr,
}

pub async fn serve(to: SocketAddr) -> Result<()> {
    // A second call finds the provider there, which is what it wants.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let router = Router::new().fallback(pass).with_state(Proxy { client, to });
    let tasks = TaskTracker::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        tasks.spawn(http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router.clone())));
    }
}

async fn pass(State(Proxy { client, to }): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let url = format!("http://{to}{}", parts.uri.path());
    let asked = client.request(parts.method, url).body(reqwest::Body::wrap_stream(body.into_data_stream()));
    let asked = match parts.headers.get(header::CONTENT_TYPE) {
        Some(kind) => asked.header(header::CONTENT_TYPE, kind),
        None => asked,
    };
    match asked.send().await {
        Ok(answer) => {
            let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
            let mut response = (status, Body::from_stream(answer.bytes_stream())).into_response();
            response.headers_mut().extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
