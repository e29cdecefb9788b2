//! What a conversation holds, as a client sees it: each item in the form, and under the id, in which its response shows it.

use super::items::WireItem;
use super::record::activity;
use crate::core::item::Item;
use crate::core::ports::store::Link;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The items of a conversation in the order in which they were said.
pub fn of(chain: &[Link], removed: &BTreeSet<String>) -> Vec<WireItem> {
    let left =
        |items: &[Arc<Item>]| -> Vec<_> { items.iter().filter(|item| !removed.contains(item.id())).cloned().collect() };
    let of_link = |link: &Link| match link {
        Link::Response(response) => {
            let mut items = WireItem::of_input(&left(&response.input));
            items.extend(WireItem::of_output(&left(&response.output), activity(&response.head)));
            items
        }
        Link::Items(added) => WireItem::of_input(&left(&added.items)),
        Link::Gone { .. } => Vec::new(),
    };
    chain.iter().flat_map(of_link).collect()
}

/// The ids of what is behind an item that a client sees: a call that a server has run is two.
pub fn behind(item: &WireItem, chain: &[Link]) -> Vec<String> {
    let behind = chain.iter().flat_map(Link::items).filter(|core| item.shows(core));
    behind.map(|core| core.id().to_owned()).collect()
}
