//! Stores: what implements the store port.

mod keys;
pub mod memory;
pub mod sqlite;
