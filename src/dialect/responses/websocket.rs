//! What goes over a WebSocket besides events: the messages of a client, and the errors that answer them.

use super::request::{self, ResponsesRequest};
use crate::dialect::error::{ApiError, excerpt};
use crate::dialect::fields::Fields;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

/// One message of a client. What is known of one that is refused is known all the same.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// The client's word for where the answer belongs, which every part of the answer repeats.
    pub stream_id: Option<String>,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// `None` is a receipt, which wants no answer.
    pub create: Result<Option<Create>, ApiError>,
}

/// `response.create`, understood.
#[derive(Debug, PartialEq)]
pub struct Create {
    pub request: ResponsesRequest,
    /// `false` only takes in what the request brings.
    pub generate: bool,
}

/// Characters of a `stream_id`, as it goes out with every event.
const MAX_STREAM_ID: usize = 128;

/// Reads a message. Errors name the field and what it should be.
pub fn parse(message: Value) -> Message {
    let string = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
    Message { stream_id: stream_id(&message), previous: string("previous_response_id"), create: create(message) }
}

/// The `stream_id` of a message, if it has one that can be repeated.
pub fn stream_id(message: &Value) -> Option<String> {
    let text = message.get("stream_id")?.as_str()?;
    is_short(text).then(|| text.to_owned())
}

fn is_short(stream_id: &str) -> bool {
    stream_id.chars().nth(MAX_STREAM_ID).is_none()
}

fn create(message: Value) -> Result<Option<Create>, ApiError> {
    if !message.is_object() {
        return Err(ApiError::invalid("", "A message must be a JSON object."));
    }
    let mut fields = Fields::of(message, "")?;
    match fields.need_string("type")?.as_str() {
        "response.create" => {}
        "response.processed" => return Ok(None),
        "response.steer" => {
            let message = "`response.steer` is not supported: wait for the response to end, or close the connection.";
            return Err(ApiError::invalid("type", message).with_code("steering_not_supported"));
        }
        other => {
            let message = format!("`type` must be `response.create`, not `{}`.", excerpt(other));
            return Err(ApiError::invalid("type", message).with_code("unknown_message_type"));
        }
    }
    if fields.take_string("stream_id")?.is_some_and(|text| !is_short(&text)) {
        let message = format!("`stream_id` may have at most {MAX_STREAM_ID} characters.");
        return Err(ApiError::invalid("stream_id", message));
    }
    let generate = fields.take_bool("generate")?.unwrap_or(true);
    // The specification has no such field here, but Codex says that it streams.
    if fields.take_bool("stream")? == Some(false) {
        let message = "`stream` must be left out: a WebSocket always streams.";
        return Err(ApiError::invalid("stream", message));
    }
    let mut body = fields.rest();
    body.insert("stream".to_owned(), Value::Bool(true));
    let request = request::parse(Value::Object(body))?;
    if request.settings.background {
        let message = "`background` must be left out: send the request by POST to run it in the background.";
        return Err(ApiError::invalid("background", message));
    }
    Ok(Some(Create { request, generate }))
}

#[derive(Serialize)]
struct ErrorMessage<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: u16,
    error: Details<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// A string in any case, as the specification has it.
    code: &'static str,
    message: &'a str,
    param: Option<&'a str>,
    /// What would be headers of the answer to a POST.
    #[serde(skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
}

/// The message that answers one that failed before it had a response.
pub fn error(error: &ApiError, stream_id: Option<&str>) -> Bytes {
    let object = &error.error;
    let details = Details {
        kind: object.kind,
        code: object.code.unwrap_or(object.kind),
        message: &object.message,
        param: object.param.as_deref(),
        headers: error.headers().map(|(name, value)| (name.to_owned(), Value::String(value))).collect(),
    };
    let message = ErrorMessage { kind: "error", status: error.status, error: details, stream_id };
    // Writing plain structs and strings into memory has no error to give.
    serde_json::to_vec(&message).unwrap_or_default().into()
}
