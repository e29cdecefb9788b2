//! nuncio: a full agent behind the OpenAI API.
//!
//! A request goes one way through the house: [`http`] finds out who asks and reads the body, [`dialect`] turns it into
//! a [`RunSpec`](core::run::RunSpec), [`runs`] starts a task that drives the [`Machine`](core::run::Machine), the
//! machine's [`RunEvent`](core::event::RunEvent)s come back over a bounded channel, and the dialect makes frames of them.
//!
//! - [`core`] and [`dialect`] are pure: types, the agent loop as a state machine, projections onto the wire.
//! - [`runs`] carries the machine's effects out, through the core's ports; [`http`] is its edge to clients.
//! - [`upstream`], [`tools`] (on [`sandbox`]) and [`store`] implement the ports and do not know of each other.
//! - [`schema`] checks values, for the runs and the tools; [`web`] reaches what a model or a client names on the web.
//! - [`app`] joins them, from what [`cli`] and [`config`] say.
//!
//! `tests/architecture.rs` holds these borders; `docs/architecture.md` is the longer story.

// What a request can reach must not panic; a line that cannot fail says why.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::todo)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod dialect;
pub mod http;
pub mod runs;
pub mod sandbox;
pub mod schema;
pub mod shutdown;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tools;
pub mod upstream;
pub mod web;
