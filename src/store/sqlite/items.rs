//! Where the items of links are: each is found by a number, which stands for what clients call it.

use super::fault::Fault;
use super::links::of_link;
use super::tables::Tables;
use crate::core::item::Item;
use crate::core::ports::store::ItemKey;
use crate::store::keys::{items_of, keys_among, keys_of};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Digits of a uuid that tell the time, to about a quarter of a second. The first two stay the same for decades.
const TIME: std::ops::Range<usize> = 2..10;

/// A number that hardly another key has. Those of our ids grow with time, so that what is new is written side by side.
fn number(key: &ItemKey) -> i64 {
    let (kind, id) = match key {
        ItemKey::Id(id) => ("id", id),
        ItemKey::Call(id) => ("call", id),
    };
    let hash = Sha256::new().chain_update(kind).chain_update(id).finalize();
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.into();
    let digits = id.rsplit('_').next().filter(|digits| digits.len() >= 32).and_then(|digits| digits.get(TIME));
    let time = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let [a, b, c, d] = time.map_or([a, b, c, d], u32::to_be_bytes);
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The numbers of all that these items are called, as they are kept with their link.
pub fn numbers<'a>(items: impl Iterator<Item = &'a Arc<Item>> + Clone) -> Vec<u8> {
    let mut numbers: Vec<i64> = keys_among(items).iter().map(number).collect();
    numbers.sort_unstable();
    numbers.into_iter().flat_map(i64::to_be_bytes).collect()
}

fn each(numbers: &[u8]) -> impl Iterator<Item = i64> {
    numbers.as_chunks().0.iter().map(|number| i64::from_be_bytes(*number))
}

/// Makes the items of a link ones that can be asked for.
pub fn add(tables: &Tables, link: i64, numbers: &[u8]) -> rusqlite::Result<()> {
    for number in each(numbers) {
        tables.execute("INSERT OR IGNORE INTO items (key, link) VALUES (?1, ?2)", [number, link])?;
    }
    Ok(())
}

pub fn forget(tables: &Tables, link: i64) -> rusqlite::Result<()> {
    let numbers: Option<Option<Vec<u8>>> =
        tables.one("SELECT keys FROM links WHERE pk = ?1", [link], |row| row.get(0))?;
    for number in each(&numbers.flatten().unwrap_or_default()) {
        tables.execute("DELETE FROM items WHERE key = ?1 AND link = ?2", [number, link])?;
    }
    Ok(())
}

/// What a key stands for in the newest link that holds it, and the number of that.
pub fn find(db: &Connection, principal: &str, key: &ItemKey) -> Result<Option<(i64, Vec<Arc<Item>>)>, Fault> {
    let sql = "SELECT link FROM items CROSS JOIN links ON links.pk = items.link
               WHERE key = ?1 AND principal = (SELECT pk FROM principals WHERE name = ?2) ORDER BY stored DESC";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![number(key), principal])?;
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let link = of_link(db, number)?;
        // The number may be another key's too.
        if keys_of(&link).contains(key) {
            return Ok(Some((number, items_of(&link, key))));
        }
    }
    Ok(None)
}
