//! kill -9 at any moment of a stored run, and the same response goes on: nothing told is lost, repeated or unsaid, and
//! nothing done is done again.

mod disk;
mod ends;
mod harness;
mod invariants;
mod moments;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod turns;
