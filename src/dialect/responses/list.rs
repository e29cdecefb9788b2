//! Lists of items, in pages.

use super::items::WireItem;
use crate::core::item::Item;
use crate::dialect::error::ApiError;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, PartialEq, Serialize)]
pub struct ItemList {
    object: &'static str,
    data: Vec<WireItem>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The id of the item before the first one.
    pub after: Option<String>,
    pub limit: usize,
    pub newest_first: bool,
}

impl Page {
    const MAX: usize = 100;

    /// Reads the parameters of a query. Those of another use are left alone.
    pub fn parse<'a>(query: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, ApiError> {
        let mut page = Self { after: None, limit: 20, newest_first: true };
        for (key, value) in query {
            match (key, value) {
                ("after", id) => page.after = Some(id.to_owned()),
                ("limit", number) => {
                    page.limit =
                        number.parse().ok().filter(|limit| (1..=Self::MAX).contains(limit)).ok_or_else(|| {
                            ApiError::invalid(
                                "limit",
                                format!("`limit` must be a whole number from 1 to {}.", Self::MAX),
                            )
                        })?;
                }
                ("order", "asc") => page.newest_first = false,
                ("order", "desc") => page.newest_first = true,
                ("order", _) => return Err(ApiError::invalid("order", "`order` must be asc or desc.")),
                _ => {}
            }
        }
        Ok(page)
    }

    pub fn of_input(&self, items: &[Arc<Item>]) -> Result<ItemList, ApiError> {
        let mut data = WireItem::of_input(items);
        if self.newest_first {
            data.reverse();
        }
        if let Some(after) = &self.after {
            let at = data.iter().position(|item| item.id() == after);
            let at = at.ok_or_else(|| ApiError::invalid("after", "`after` names no item of this list."))?;
            data.drain(..=at);
        }
        let has_more = data.len() > self.limit;
        data.truncate(self.limit);
        let id = |item: Option<&WireItem>| item.map(|item| item.id().to_owned());
        Ok(ItemList { object: "list", first_id: id(data.first()), last_id: id(data.last()), data, has_more })
    }
}
