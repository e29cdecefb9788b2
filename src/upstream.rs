//! Language models behind HTTP and the rehearsal that stands in for one: the adapters of `core::ports::upstream`.

pub mod chunk;
pub mod sse;
