//! Lists, in pages.

use super::items::WireItem;
use crate::dialect::error::ApiError;
use serde::Serialize;

/// A page of a list.
#[derive(Debug, PartialEq, Serialize)]
pub struct List<T> {
    object: &'static str,
    data: Vec<T>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl<T> List<T> {
    pub fn new(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> &str) -> Self {
        let id = |item: Option<&T>| item.map(|item| id(item).to_owned());
        Self { object: "list", first_id: id(data.first()), last_id: id(data.last()), data, has_more }
    }

    /// The first `limit` of these.
    pub fn first(mut data: Vec<T>, limit: usize, id: impl Fn(&T) -> &str) -> Self {
        let has_more = data.len() > limit;
        data.truncate(limit);
        Self::new(data, has_more, id)
    }
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

    /// This page of items that are in the order in which they were said.
    pub fn of(&self, mut data: Vec<WireItem>) -> Result<List<WireItem>, ApiError> {
        if self.newest_first {
            data.reverse();
        }
        if let Some(after) = &self.after {
            let at = data.iter().position(|item| item.id() == after);
            let at = at.ok_or_else(|| ApiError::invalid("after", "`after` names no item of this list."))?;
            data.drain(..=at);
        }
        Ok(List::first(data, self.limit, WireItem::id))
    }
}
