//! Language models behind HTTP and the rehearsal that stands in for one: the adapters of `core::ports::upstream`.

mod chunk;
mod request;
mod sse;
