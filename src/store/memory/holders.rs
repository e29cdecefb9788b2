//! Where the items of a principal's links are, by what clients call them.

use crate::core::ports::store::{ItemKey, Link};
use crate::store::keys::keys_of;
use std::collections::HashMap;

/// Ids of the links that hold an item, the newest last: clients send items again, with their ids.
#[derive(Default)]
pub struct Holders(HashMap<ItemKey, Vec<String>>);

impl Holders {
    pub fn add(&mut self, link: &Link) {
        for key in keys_of(link) {
            self.0.entry(key).or_default().push(link.id().to_owned());
        }
    }

    pub fn forget(&mut self, link: &Link) {
        for key in keys_of(link) {
            let Some(holders) = self.0.get_mut(&key) else { continue };
            holders.retain(|holder| holder != link.id());
            if holders.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    pub fn newest(&self, key: &ItemKey) -> Option<&str> {
        self.0.get(key)?.last().map(String::as_str)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
