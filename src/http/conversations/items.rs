//! `/v1/conversations/{id}/items`.

use super::super::body;
use super::super::error::Rejection;
use super::super::state::Gateway;
use super::{At, broken, page, turn, unknown};
use crate::core::item::Item;
use crate::core::ports::journals::Fence;
use crate::core::ports::store::AddedItems;
use crate::dialect::error::ApiError;
use crate::dialect::responses::contents;
use crate::dialect::responses::conversations::{ConversationObject, new_items};
use crate::dialect::responses::history::History;
use crate::dialect::responses::ids;
use crate::dialect::responses::items::WireItem;
use crate::dialect::responses::list::List;
use crate::runs::Runs;
use axum::Json;
use axum::extract::{RawQuery, Request};
use std::sync::Arc;

pub async fn list_items(at: At, RawQuery(query): RawQuery) -> Result<Json<List<WireItem>>, Rejection> {
    let page = page(query.as_deref().unwrap_or_default())?;
    let (conversation, chain) = at.load().await?;
    Ok(Json(page.of(contents::of(&chain, &conversation.removed))?))
}

/// Adds items, in the conversation's turn, and shows them.
pub async fn add_items(at: At, request: Request) -> Result<Json<List<WireItem>>, Rejection> {
    let items = new_items(body::json(request, at.gateway.settings.body_limit).await?)?;
    at.load().await?;
    let (_place, fence) = turn(&at).await?;
    let (conversation, chain) = at.load().await?;
    History::of(&chain, &conversation.removed).check_added(&items)?;
    let added = append(&at.gateway, &at.principal, &at.conversation, fence, items).await?;
    Ok(Json(List::new(WireItem::of_input(&added), false, WireItem::id)))
}

pub async fn get_item(at: At) -> Result<Json<WireItem>, Rejection> {
    let (conversation, chain) = at.load().await?;
    Ok(Json(find(contents::of(&chain, &conversation.removed), &at.item)?))
}

/// Takes an item out, in the conversation's turn, and shows the conversation.
pub async fn remove_item(at: At) -> Result<Json<ConversationObject>, Rejection> {
    at.load().await?;
    let (_place, fence) = turn(&at).await?;
    let (conversation, chain) = at.load().await?;
    let item = find(contents::of(&chain, &conversation.removed), &at.item)?;
    let behind = contents::behind(&item, &chain);
    super::shown(at.gateway.store.remove_items(&at.principal, &at.conversation, behind, fence).await.map_err(broken)?)
}

/// Checks the items that a conversation begins with.
pub(super) fn check(items: &[Arc<Item>]) -> Result<(), ApiError> {
    History::default().check_added(items)
}

/// Adds items to a conversation whose turn it is.
pub(super) async fn append(
    gateway: &Gateway,
    principal: &str,
    conversation: &str,
    fence: Fence,
    items: Vec<Arc<Item>>,
) -> Result<Arc<[Arc<Item>]>, ApiError> {
    let run = Runs::new_id();
    let items = ids::renew(run, items);
    if items.is_empty() {
        return Ok(items);
    }
    let (id, conversation) = (run.answer("items_"), conversation.to_owned());
    let added = AddedItems { id, previous: None, conversation, items: Arc::clone(&items) };
    match gateway.store.add_items(principal, added, fence).await.map_err(broken)? {
        true => Ok(items),
        false => Err(unknown("id")),
    }
}

fn find(items: Vec<WireItem>, id: &str) -> Result<WireItem, ApiError> {
    items.into_iter().find(|item| item.id() == id).ok_or_else(|| {
        let message = "There is no item with this `item_id` in the conversation.";
        ApiError::new(404, "invalid_request_error", Some("item_not_found"), message).with_param("item_id")
    })
}
