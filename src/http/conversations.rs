//! `/v1/conversations`.

mod items;

pub use items::{add_items, get_item, list_items, remove_item};

use super::auth::Principal;
use super::body;
use super::clock::now;
use super::error::{Rejection, store_unavailable};
use super::state::Gateway;
use crate::core::ports::conversations::{Conversation, ConversationKey};
use crate::core::ports::journals::Fence;
use crate::core::ports::store::{Chain, Store, StoreError};
use crate::dialect::error::ApiError;
use crate::dialect::responses::conversations::{ConversationObject, ID_PREFIX, NewConversation, new_metadata};
use crate::dialect::responses::list::{List, Page};
use crate::runs::Runs;
use crate::runs::turns::{Busy, MAX_WAITING, Place};
use axum::Json;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Extension, FromRequestParts, RawPathParams, RawQuery, Request, State};
use axum::http::request::Parts;
use serde_json::{Value, json};
use std::sync::Arc;
use url::form_urlencoded;

/// What a path below `/v1/conversations/` asks for, and who does.
pub struct At {
    gateway: Arc<Gateway>,
    principal: Arc<str>,
    conversation: String,
    /// Empty where the path names none.
    item: String,
}

impl FromRequestParts<Arc<Gateway>> for At {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Rejection> {
        // An id that is no UTF-8 is the id of nothing.
        let params: Result<RawPathParams, RawPathParamsRejection> =
            RawPathParams::from_request_parts(parts, gateway).await;
        let params = params.map_err(|_| unknown("id"))?;
        let param = |name: &str| params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        let (conversation, item) = (param("id").unwrap_or_default(), param("item").unwrap_or_default());
        let principal = Extension::<Principal>::from_request_parts(parts, gateway).await;
        let Extension(principal) = principal.map_err(|_| unknown("id"))?;
        Ok(Self { gateway: Arc::clone(gateway), principal: principal.name, conversation, item })
    }
}

impl At {
    async fn load(&self) -> Result<(Arc<Conversation>, Chain), ApiError> {
        let found = load(&*self.gateway.store, &self.principal, &self.conversation).await?;
        found.ok_or_else(|| unknown("id"))
    }
}

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Json<ConversationObject>, Rejection> {
    let asked = NewConversation::parse(body::json(request, gateway.settings.body_limit).await?)?;
    let NewConversation { name, metadata, items } = asked;
    items::check(&items)?;
    let fresh = Conversation { name, metadata, ..fresh() };
    // Taken before anyone can know of it, so that its first items are its first.
    let _place = line_up(&gateway, &principal.name, &fresh.id)?;
    let id = fresh.id.clone();
    let begun = gateway.store.begin_conversation(&principal.name, fresh).await.map_err(broken)?;
    if begun.id != id {
        let message =
            format!("There is a conversation of this name already: `{}`. Go on with it, or delete it.", begun.id);
        let error = ApiError::new(409, "invalid_request_error", Some("conversation_exists"), message);
        return Err(error.with_param("name").into());
    }
    items::append(&gateway, &principal.name, &id, Fence::FIRST, items).await?;
    Ok(Json(ConversationObject::from(&*begun)))
}

pub async fn get(at: At) -> Result<Json<ConversationObject>, Rejection> {
    let key = ConversationKey::Id(at.conversation);
    let found = at.gateway.store.conversation(&at.principal, &key).await.map_err(broken)?;
    shown(found)
}

pub async fn update(at: At, request: Request) -> Result<Json<ConversationObject>, Rejection> {
    let metadata = new_metadata(body::json(request, at.gateway.settings.body_limit).await?)?;
    shown(at.gateway.store.set_metadata(&at.principal, &at.conversation, metadata).await.map_err(broken)?)
}

pub async fn delete(at: At) -> Result<Json<Value>, Rejection> {
    match at.gateway.store.delete_conversation(&at.principal, &at.conversation).await.map_err(broken)? {
        true => Ok(Json(json!({"id": at.conversation, "object": "conversation.deleted", "deleted": true}))),
        false => Err(unknown("id").into()),
    }
}

/// All of them, or the one of a name. Beyond OpenAI's API.
pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    RawQuery(query): RawQuery,
) -> Result<Json<List<ConversationObject>>, Rejection> {
    let query = query.unwrap_or_default();
    let page = page(&query)?;
    let name = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "name").map(|(_, name)| name);
    let found = match name {
        Some(name) => {
            let key = ConversationKey::Name(name.into_owned());
            gateway.store.conversation(&principal.name, &key).await.map_err(broken)?.into_iter().collect()
        }
        None => {
            // One more tells whether there are more.
            let limit = page.limit.saturating_add(1);
            let listed = gateway.store.conversations(&principal.name, page.after.as_deref(), limit, page.newest_first);
            listed.await.map_err(broken)?
        }
    };
    let found: Vec<_> = found.iter().map(|conversation| ConversationObject::from(&**conversation)).collect();
    Ok(Json(List::first(found, page.limit, ConversationObject::id)))
}

/// The id of the conversation that a request names. One of a new name is made, if the request may leave something;
/// otherwise there is none.
pub async fn resolve(
    gateway: &Gateway,
    principal: &str,
    key: &ConversationKey,
    may_begin: bool,
) -> Result<Option<String>, ApiError> {
    let found = match key {
        ConversationKey::Name(name) if may_begin => {
            let fresh = Conversation { name: Some(name.clone()), ..fresh() };
            Some(gateway.store.begin_conversation(principal, fresh).await.map_err(broken)?)
        }
        key => gateway.store.conversation(principal, key).await.map_err(broken)?,
    };
    match (found, key) {
        (None, ConversationKey::Id(_)) => Err(unknown("conversation")),
        (found, _) => Ok(found.map(|conversation| conversation.id.clone())),
    }
}

/// A conversation and its chain, as they stand; `None` if it is not there.
pub async fn load(
    store: &dyn Store,
    principal: &str,
    id: &str,
) -> Result<Option<(Arc<Conversation>, Chain)>, ApiError> {
    let key = ConversationKey::Id(id.to_owned());
    let Some(conversation) = store.conversation(principal, &key).await.map_err(broken)? else { return Ok(None) };
    let chain = match &conversation.head {
        // It is gone if the conversation was deleted between the two.
        Some(head) => store.chain(principal, head).await.map_err(broken)?,
        None => Some(Chain::new()),
    };
    Ok(chain.map(|chain| (conversation, chain)))
}

/// The turn in a conversation, and what is added with it.
async fn turn(at: &At) -> Result<(Place, Fence), ApiError> {
    let place = line_up(&at.gateway, &at.principal, &at.conversation)?;
    place.turn().await.map_err(broken)?;
    let fence = place.fence().ok_or_else(|| unknown("id"))?;
    Ok((place, fence))
}

/// The last place in the line before a conversation.
pub fn line_up(gateway: &Gateway, principal: &Arc<str>, id: &str) -> Result<Place, ApiError> {
    gateway.runs.line_up(principal, id).map_err(|Busy| {
        let message = format!("This `conversation` is in use, and {MAX_WAITING} requests wait for their turn already. Try again later, or branch off with `previous_response_id`.");
        busy(&message)
    })
}

fn busy(message: &str) -> ApiError {
    let error = ApiError::new(409, "invalid_request_error", Some("conversation_busy"), message);
    error.with_param("conversation").with_retry_after(1)
}

fn fresh() -> Conversation {
    Conversation { id: Runs::new_id().answer(ID_PREFIX), created_at: now(), ..Conversation::default() }
}

fn shown(found: Option<Arc<Conversation>>) -> Result<Json<ConversationObject>, Rejection> {
    let found = found.ok_or_else(|| unknown("id"))?;
    Ok(Json(ConversationObject::from(&*found)))
}

fn page(query: &str) -> Result<Page, ApiError> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    Page::parse(pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())))
}

/// `param` is where the id stands.
pub fn unknown(param: &str) -> ApiError {
    let message = "There is no conversation with this id: it was never made, or deleted, or is too old.";
    ApiError::new(404, "invalid_request_error", Some("conversation_not_found"), message).with_param(param)
}

fn broken(error: StoreError) -> ApiError {
    match error {
        StoreError::Fenced => busy("Another server has gone on with this conversation meanwhile. Try again."),
        error => store_unavailable(&error),
    }
}
