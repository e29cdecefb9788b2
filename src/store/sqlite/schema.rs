//! The versions of the tables, and the way from each to the next.

use rusqlite::{Connection, Result};

/// One step from each version to the next; what has been released is never changed.
pub const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Marks a database as ours: "nunc".
pub const APPLICATION: i64 = 0x6e75_6e63;

/// Set before anything is written: a page holds several turns of a few KiB, which with SQLite's 4 KiB it would not.
pub const PAGE_SIZE: i64 = 8192;

/// The version of a database; 0 for one without tables.
pub fn version(db: &Connection) -> Result<usize> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes all steps that are left, or none.
pub fn migrate(db: &mut Connection, steps: &[&str]) -> Result<()> {
    let transaction = db.transaction()?;
    for step in steps.iter().skip(version(&transaction)?) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", steps.len())?;
    transaction.commit()
}
