//! Stores: what implements the store port.

pub mod memory;
pub mod sqlite;
