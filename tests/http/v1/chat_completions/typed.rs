//! The answers, read by async-openai's types and its client.

use crate::support::{Daemon, client};
use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, CreateChatCompletionRequest, CreateChatCompletionRequestArgs, FinishReason, Role,
};
use futures_util::StreamExt;

fn typed(daemon: &Daemon) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_base(daemon.url("/v1")).with_api_key("none");
    Client::build(client(), config)
}

fn asking(text: &str) -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessage::from(text).into();
    CreateChatCompletionRequestArgs::default().model("nuncio").messages([message]).build().unwrap()
}

#[tokio::test]
async fn an_answer_that_ran_a_tool() {
    let daemon = Daemon::rehearsing();
    let answer = typed(&daemon).chat().create(asking("run: echo typed\nthen\nsay: Done.")).await.unwrap();
    let choice = &answer.choices[0];
    assert_eq!((choice.message.role, choice.finish_reason), (Role::Assistant, Some(FinishReason::Stop)));
    assert!(choice.message.content.as_deref().unwrap().contains("Done."), "{choice:?}");
    assert!(choice.message.tool_calls.is_none() && answer.usage.unwrap().total_tokens > 0);
}

#[tokio::test]
async fn a_stream_that_ran_a_tool() {
    let daemon = Daemon::rehearsing();
    let request = asking("say: Look.\nrun: echo typed\nthen\nsay: Done.");
    let request = CreateChatCompletionRequest { stream: Some(true), ..request };
    let mut stream = typed(&daemon).chat().create_stream(request).await.unwrap();
    let (mut text, mut ends) = (String::new(), Vec::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        text.push_str(chunk.choices[0].delta.content.as_deref().unwrap_or_default());
        ends.extend(chunk.choices[0].finish_reason);
        assert!(chunk.choices[0].delta.tool_calls.is_none());
    }
    assert!(text.starts_with("Look.\n\nDone."), "{text}");
    assert_eq!(ends, [FinishReason::Stop]);
}

#[tokio::test]
async fn a_refusal_of_ours() {
    let daemon = Daemon::rehearsing();
    let mut request = asking("Hello");
    request.model = "gpt-4o".into();
    let Err(OpenAIError::ApiError(error)) = typed(&daemon).chat().create(request).await else { panic!("no error") };
    assert_eq!((error.status_code.as_u16(), error.api_error.code.as_deref()), (404, Some("model_not_found")));
    assert_eq!(error.api_error.param.as_deref(), Some("model"));
}
