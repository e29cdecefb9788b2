//! Conversations on the wire: how a request names one, what makes and changes one, and the object.

use super::input;
use crate::core::item::Item;
use crate::core::ports::conversations::{Conversation, ConversationKey};
use crate::dialect::error::ApiError;
use crate::dialect::fields::{Check, Fields, wrong};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What the id of a conversation begins with, and no name does.
pub const ID_PREFIX: &str = "conv_";

/// Items that one call may bring, as OpenAI has it.
const MAX_ITEMS: usize = 20;

const MAX_NAME: usize = 128;

/// Reads the `conversation` of a request: an id, an object with one, or a name.
pub fn key(value: Value) -> Result<ConversationKey, ApiError> {
    match value {
        Value::String(text) if text.starts_with(ID_PREFIX) => Ok(ConversationKey::Id(text)),
        Value::String(text) if is_name(&text) => Ok(ConversationKey::Name(text)),
        Value::String(_) => {
            let message = format!(
                "`conversation` must be an id, which begins with `{ID_PREFIX}`, or a name of 1 to {MAX_NAME} printable characters."
            );
            Err(ApiError::invalid("conversation", message))
        }
        Value::Object(_) => {
            let id = Fields::of(value, "conversation")?.need_string("id")?;
            if !id.starts_with(ID_PREFIX) {
                let message = format!(
                    "`conversation.id` must be an id, which begins with `{ID_PREFIX}`. A name is sent as a string: `\"conversation\": \"my-project\"`."
                );
                return Err(ApiError::invalid("conversation.id", message));
            }
            Ok(ConversationKey::Id(id))
        }
        other => Err(wrong("conversation", "a conversation's id, its name, or an object with its `id`", &other)),
    }
}

fn is_name(text: &str) -> bool {
    !text.starts_with(ID_PREFIX)
        && !text.chars().any(char::is_control)
        && (1..=MAX_NAME).contains(&text.chars().count())
}

/// The body of `POST /v1/conversations`.
#[derive(Debug, PartialEq)]
pub struct NewConversation {
    pub name: Option<String>,
    pub metadata: Map<String, Value>,
    pub items: Vec<Arc<Item>>,
}

impl NewConversation {
    pub fn parse(body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::of(body, "")?;
        let name = fields.take_string("name")?;
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            let message = format!(
                "`name` must be 1 to {MAX_NAME} printable characters, and not begin with `{ID_PREFIX}` as ids do."
            );
            return Err(ApiError::invalid("name", message));
        }
        Ok(Self {
            name,
            metadata: metadata(&mut fields)?.unwrap_or_default(),
            items: items(&mut fields)?.unwrap_or_default(),
        })
    }
}

/// The body of `POST /v1/conversations/{id}`: the metadata that replaces what was there.
pub fn new_metadata(body: Value) -> Result<Map<String, Value>, ApiError> {
    let was_sent = body.get("metadata").is_some();
    let mut fields = Fields::of(body, "")?;
    match metadata(&mut fields)? {
        None if !was_sent => Err(fields.missing("metadata", "an object of strings, or null for none")),
        metadata => Ok(metadata.unwrap_or_default()),
    }
}

/// The body of `POST /v1/conversations/{id}/items`.
pub fn new_items(body: Value) -> Result<Vec<Arc<Item>>, ApiError> {
    let mut fields = Fields::of(body, "")?;
    match items(&mut fields)? {
        None => Err(fields.missing("items", "an array of items")),
        Some(items) if items.is_empty() => Err(ApiError::invalid("items", "`items` must hold at least one item.")),
        Some(items) => Ok(items),
    }
}

fn metadata(fields: &mut Fields) -> Result<Option<Map<String, Value>>, ApiError> {
    fields.check("metadata", Check::Metadata)?;
    Ok(fields.take("metadata").and_then(|value| value.as_object().cloned()))
}

fn items(fields: &mut Fields) -> Result<Option<Vec<Arc<Item>>>, ApiError> {
    let Some(values) = fields.take_array("items")? else { return Ok(None) };
    if values.len() > MAX_ITEMS {
        let message =
            format!("`items` may hold at most {MAX_ITEMS} items, not {}: send the rest in another call.", values.len());
        return Err(ApiError::invalid("items", message));
    }
    input::items(values, "items").map(Some)
}

/// A conversation as its client sees it.
#[derive(Debug, PartialEq, Serialize)]
pub struct ConversationObject {
    id: String,
    object: &'static str,
    created_at: u64,
    metadata: Map<String, Value>,
    /// Beyond OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl ConversationObject {
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl From<&Conversation> for ConversationObject {
    fn from(conversation: &Conversation) -> Self {
        let Conversation { id, name, created_at, metadata, .. } = conversation.clone();
        Self { id, object: "conversation", created_at, metadata, name }
    }
}
