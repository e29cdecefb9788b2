//! The stores: what each of them must do, through the ports alone.

mod contract;
mod durability;
mod eviction;
mod make;
mod model;
mod properties;
mod size;
mod turns;

use nuncio::core::ports::journals::Journals;
use nuncio::core::ports::store::Store;

/// What is put to the test.
trait Subject: Store + Journals {}

impl<T: Store + Journals> Subject for T {}
