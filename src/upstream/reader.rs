//! Reads one accepted answer, streamed or whole, no faster than it is asked to.

use super::chunk::{Answer, Chunk};
use super::patience::Patience;
use super::server::{Server, root_cause};
use super::sse::{MAX_EVENT_BYTES, SseReader};
use crate::core::failure::{Failure, FailureKind};
use crate::core::logprob::Logprob;
use crate::core::ports::upstream::{ToolCallFragment, UpstreamEvent};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::Response;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the end of a body may lag behind `[DONE]`, to spare the next call a new connection.
const BODY_LAG: Duration = Duration::from_millis(50);

/// The most one answer may hold: a run keeps all of it in memory.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// What an event counts beside its text, so that an answer cannot be endless by saying nothing.
const EVENT_BYTES: usize = 64;

/// An answer being read.
pub struct Reader {
    /// Without the head of the answer, which would keep a buffer of its connection.
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    patience: Patience,
    form: Form,
    /// What has been received and not yet read.
    chunk: Bytes,
    /// What has been read and not yet told: the events of one payload.
    events: VecDeque<UpstreamEvent>,
    answer: Answer,
    /// How many bytes of the answer have been told.
    told: usize,
}

/// What the body turned out to be. Content types are not to be relied on.
enum Form {
    Unknown,
    Events(SseReader),
    /// A server that does not stream sends one object.
    Object(Vec<u8>),
}

impl Reader {
    /// `maker` names the model to those who keep what it has sealed.
    pub fn new(response: Response, patience: Patience, maker: Arc<str>) -> Self {
        Self {
            body: response.bytes_stream().boxed(),
            patience,
            form: Form::Unknown,
            chunk: Bytes::new(),
            events: VecDeque::new(),
            answer: Answer { maker, ..Answer::default() },
            told: 0,
        }
    }

    /// The next event; `Finish` is the last.
    pub async fn next(&mut self, server: &Server) -> Result<UpstreamEvent, Failure> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.told += weight(&event);
                if self.told > MAX_ANSWER_BYTES {
                    return Err(broken(
                        server,
                        format_args!("sent an answer of more than {} MiB", MAX_ANSWER_BYTES >> 20),
                    ));
                }
                return Ok(event);
            }
            if let Form::Events(sse) = &mut self.form {
                let payload = sse.next(&mut self.chunk).map_err(|error| broken(server, error))?;
                if let Some(payload) = payload {
                    let done = read(payload, &mut self.answer, &mut self.events, server)?;
                    match self.answer.finish {
                        _ if done => self.finish(),
                        Some(_) => self.patience.complete(),
                        None => self.patience.renew(),
                    }
                    continue;
                }
            }
            match self.receive(server).await? {
                Some(chunk) => self.accept(chunk, server)?,
                None => self.end(server)?,
            }
        }
    }

    /// Reads what is left of a complete answer, so that its connection can serve the next call.
    pub async fn give_back(mut self) {
        let rest = async { while let Some(Ok(_)) = self.body.next().await {} };
        timeout(BODY_LAG, rest).await.ok();
    }

    /// The next piece of the body, `None` at its end.
    async fn receive(&mut self, server: &Server) -> Result<Option<Bytes>, Failure> {
        match self.patience.wait(self.body.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            _ if self.answer.finish.is_some() => Ok(None),
            Ok(Some(Err(error))) => {
                Err(broken(server, format_args!("broke off in mid-answer: {}", root_cause(&error))))
            }
            Err(overdue) => Err(server.failure(FailureKind::UpstreamTimeout, overdue)),
        }
    }

    fn accept(&mut self, chunk: Bytes, server: &Server) -> Result<(), Failure> {
        if let Form::Unknown = self.form {
            self.form = match chunk.trim_ascii_start().first() {
                None => return Ok(()),
                Some(b'{') => {
                    self.patience.renew();
                    Form::Object(Vec::new())
                }
                Some(b'<') => return Err(broken(server, "answered with a web page: is base_url right?")),
                Some(_) => Form::Events(SseReader::default()),
            };
        }
        match &mut self.form {
            Form::Object(body) if body.len() + chunk.len() > MAX_EVENT_BYTES => {
                Err(broken(server, format_args!("sent an answer of more than {MAX_EVENT_BYTES} bytes in one piece")))
            }
            Form::Object(body) => {
                body.extend_from_slice(&chunk);
                Ok(())
            }
            Form::Events(_) | Form::Unknown => {
                self.chunk = chunk;
                Ok(())
            }
        }
    }

    /// The body is at its end.
    fn end(&mut self, server: &Server) -> Result<(), Failure> {
        let done = match &mut self.form {
            Form::Unknown => false,
            Form::Events(sse) => match sse.finish().map_err(|error| broken(server, error))? {
                Some(payload) => read(payload, &mut self.answer, &mut self.events, server)?,
                None => false,
            },
            // An object is whole by itself, if it is an answer at all.
            Form::Object(body) => {
                read(body, &mut self.answer, &mut self.events, server)?;
                self.answer.has_choice
            }
        };
        if !done && self.answer.finish.is_none() {
            return Err(broken(server, "ended its answer without a finish reason"));
        }
        self.finish();
        Ok(())
    }

    fn finish(&mut self) {
        self.events.extend(self.answer.usage.map(UpstreamEvent::Usage));
        self.events.push_back(UpstreamEvent::Finish(self.answer.finish_reason()));
    }
}

/// Reads one payload. True if it was the mark that ends a stream.
fn read(
    payload: &[u8],
    answer: &mut Answer,
    events: &mut VecDeque<UpstreamEvent>,
    server: &Server,
) -> Result<bool, Failure> {
    let payload = match payload.trim_ascii() {
        b"" | b"null" => return Ok(false),
        b"[DONE]" => return Ok(true),
        payload => payload,
    };
    let mut chunk = Chunk::parse(payload).map_err(|error| broken(server, error))?;
    if let Some(error) = chunk.take_error() {
        return Err(server.gave_up(&error));
    }
    if !chunk.read(answer, events) {
        return Err(broken(server, "gave up in mid-answer without a reason"));
    }
    Ok(false)
}

/// What an event adds to the memory of its run, in bytes.
fn weight(event: &UpstreamEvent) -> usize {
    use UpstreamEvent::*;
    let text = match event {
        Text(text) | Refusal(text) | Reasoning(text) => text.len(),
        Logprobs(logprobs) => logprobs.iter().map(Logprob::weight).sum(),
        Sealed { maker: _, piece } => weight_of(piece),
        ToolCall(ToolCallFragment { index: _, id, name, arguments, extra }) => {
            let names = [id, name].into_iter().flatten().map(String::len).sum::<usize>();
            names + arguments.len() + weight_of(extra)
        }
        Opened | Usage(_) | Finish(_) => 0,
    };
    EVENT_BYTES + text
}

fn weight_of(map: &Map<String, Value>) -> usize {
    map.iter().map(|(key, value)| key.len() + value.to_string().len()).sum()
}

fn broken(server: &Server, what: impl std::fmt::Display) -> Failure {
    server.failure(FailureKind::UpstreamBroken, what)
}
