//! One model of a server that speaks the chat completions API, always streamed.

use super::reader::Reader;
use super::request::Body;
use super::server::Server;
use crate::core::failure::{Failure, FailureKind};
use crate::core::format::FormatSupport;
use crate::core::ports::upstream::{ModelRequest, Upstream, UpstreamEvent, UpstreamStream};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use std::mem;
use std::sync::Arc;

/// A model on a server.
pub struct OpenAiChat {
    server: Arc<Server>,
    model: Arc<str>,
    maker: Arc<str>,
}

impl OpenAiChat {
    pub fn new(server: Arc<Server>, model: impl Into<Arc<str>>) -> Self {
        let model = model.into();
        let maker = maker(&server, &model);
        Self { server, model, maker }
    }
}

/// Names this model on this server in what it has sealed. A hash, because clients get to see it, and the same after a
/// restart.
fn maker(server: &Server, model: &str) -> Arc<str> {
    let hash = Sha256::digest(format!("{}\n{model}", server.base_url()));
    hex::encode(hash.get(..8).unwrap_or_default()).into()
}

impl Upstream for OpenAiChat {
    fn call(&self, request: ModelRequest) -> UpstreamStream {
        let (server, model, maker) = (Arc::clone(&self.server), Arc::clone(&self.model), Arc::clone(&self.maker));
        // In a box, as it is handed over with each event.
        let call = Box::new(Call { server, model, maker, state: State::Ready(request) });
        let events = stream::unfold(call, |mut call| async move { Some((call.next().await?, call)) });
        Box::pin(events.fuse())
    }

    fn format_support(&self) -> FormatSupport {
        self.server.format_support()
    }
}

struct Call {
    server: Arc<Server>,
    model: Arc<str>,
    maker: Arc<str>,
    state: State,
}

enum State {
    Ready(ModelRequest),
    Reading(Box<Reader>),
    /// The answer is complete, and only the end of its body is missing.
    Ending(Box<Reader>),
    Over,
}

impl Call {
    async fn next(&mut self) -> Option<Result<UpstreamEvent, Failure>> {
        match mem::replace(&mut self.state, State::Over) {
            State::Ready(request) => Some(self.open(&request).await),
            State::Reading(mut reader) => {
                let event = reader.next(&self.server).await;
                match event {
                    Ok(UpstreamEvent::Finish(_)) => self.state = State::Ending(reader),
                    Ok(_) => self.state = State::Reading(reader),
                    Err(_) => {}
                }
                Some(event)
            }
            State::Ending(reader) => {
                reader.give_back().await;
                None
            }
            State::Over => None,
        }
    }

    async fn open(&mut self, request: &ModelRequest) -> Result<UpstreamEvent, Failure> {
        let (limit_field, format_support) = (self.server.limit_field(), self.server.format_support());
        let body = Body { model: &self.model, maker: &self.maker, request, limit_field, format_support };
        let body = body
            .written()
            .map_err(|error| Failure::new(FailureKind::Internal, format!("the request cannot be written: {error}")))?;
        let (response, patience) = self.server.open(body).await?;
        self.state = State::Reading(Box::new(Reader::new(response, patience, Arc::clone(&self.maker))));
        Ok(UpstreamEvent::Opened)
    }
}
