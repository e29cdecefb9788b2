//! The dialects: requests in, frames and objects out. Pure projections of the core's types onto the wire.

pub mod activity;
pub mod chat;
pub mod error;
pub mod fields;
pub mod format;
mod offer;
pub mod record;
pub mod responses;
pub mod runs;
pub mod sse;
mod user;

use crate::core::event::RunEvent;
use ::bytes::Bytes;

/// A dialect's view of one run as a stream of frames, each to be written whole.
pub trait Projection: Send {
    /// What may leave before the run has said anything.
    fn open(&mut self) -> Vec<Bytes>;

    /// The number of the next event's first frame, for a dialect whose frames have numbers.
    fn number(&mut self, _sequence: u64) {}

    /// The frames of one event, in order; most events have one or none.
    fn on(&mut self, event: &RunEvent) -> Vec<Bytes>;
}
