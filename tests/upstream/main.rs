//! The upstream adapters against servers of this machine that do what real ones do on bad days.

mod answers;
mod chains;
mod discovery;
mod faults;
#[path = "../support/upstream.rs"]
mod server;

use futures_util::StreamExt;
use nuncio::core::failure::Failure;
use nuncio::core::item::{Item, Message, Role};
use nuncio::core::ports::tool::ToolList;
use nuncio::core::ports::upstream::{
    FinishReason, ModelRequest, ToolCallFragment, ToolChoice, Upstream, UpstreamEvent, UpstreamStream,
};
use nuncio::upstream::registry::Registry;
use nuncio::upstream::settings::{MaxTokensField, UpstreamSettings};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any test should take, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// An upstream at this address whose pauses do not slow a test down.
fn settings(name: &str, base_url: &str) -> UpstreamSettings {
    UpstreamSettings {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        api_key: None,
        headers: Vec::new(),
        connect_timeout: PATIENCE,
        first_byte_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        max_retries: 2,
        retry_base_delay: Duration::from_millis(1),
        max_tokens_field: MaxTokensField::Auto,
        format_support: None,
    }
}

/// The chain of one model at this address.
fn upstream(base_url: &str) -> Arc<dyn Upstream> {
    one(settings("main", base_url))
}

fn one(settings: UpstreamSettings) -> Arc<dyn Upstream> {
    Registry::new(&[settings]).unwrap().chain(&[("main", "model-a")]).unwrap()
}

fn question() -> ModelRequest {
    ModelRequest {
        instructions: Some("Be brief.".into()),
        items: vec![Arc::new(Item::Message(Message::of(Role::User, "Hello")))],
        tools: ToolList::default(),
        tool_choice: ToolChoice::Auto,
        format: None,
        params: Arc::default(),
        max_output_tokens: None,
    }
}

/// All events of a stream, and the failure it ended with.
async fn drain(mut stream: UpstreamStream) -> (Vec<UpstreamEvent>, Option<Failure>) {
    let mut events = Vec::new();
    let all = async {
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => events.push(event),
                Err(failure) => return Some(failure),
            }
        }
        None
    };
    let failure = tokio::time::timeout(PATIENCE, all).await.expect("the stream hangs");
    (events, failure)
}

/// All events of a call that must not fail.
async fn answer(upstream: &Arc<dyn Upstream>) -> Vec<UpstreamEvent> {
    let (events, failure) = drain(upstream.call(question())).await;
    assert_eq!(failure, None, "after {events:?}");
    events
}

/// The events and the failure of a call that must fail.
async fn failure(upstream: &Arc<dyn Upstream>) -> (Vec<UpstreamEvent>, Failure) {
    let (events, failure) = drain(upstream.call(question())).await;
    (events, failure.expect("the call should have failed"))
}

fn text(text: &str) -> UpstreamEvent {
    UpstreamEvent::Text(text.into())
}

fn call(index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> UpstreamEvent {
    let (id, name) = (id.map(Into::into), name.map(Into::into));
    UpstreamEvent::ToolCall(ToolCallFragment {
        index: Some(index),
        id,
        name,
        arguments: arguments.into(),
        ..Default::default()
    })
}

/// Comments at a steady pace, for longer than any test waits.
fn pings() -> Vec<server::Act> {
    let ping = [server::chunk(": ping\n\n"), server::pause(20)];
    std::iter::repeat_n(ping, 2_000).flatten().collect()
}

/// The events of an answer that says this and stops.
fn said(words: &str) -> Vec<UpstreamEvent> {
    vec![UpstreamEvent::Opened, text(words), UpstreamEvent::Finish(FinishReason::Stop)]
}
