//! What a run is told to do, which may take its time to be known.

use super::session::SessionKey;
use super::turns::Place;
use crate::core::run::RunSpec;
use crate::dialect::error::ApiError;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Everything that a run needs to begin.
pub struct Brief {
    pub spec: RunSpec,
    pub session: SessionKey,
    /// The person it is for, where the request says who that is.
    pub user: Option<Arc<str>>,
    /// A frontend's call on the side (a title, tags): no tools, no instructions, no session.
    pub housekeeping: bool,
    /// The client wants nothing of it kept.
    pub off_record: bool,
    /// The link of a stored chain that it goes on from.
    pub previous: Option<String>,
    /// Its turn in a conversation, kept until what the run adds is stored.
    pub place: Option<Place>,
}

/// When a run is briefed.
pub enum Briefing {
    Done(Box<Brief>),
    /// Once its turn has come: what others say before it is part of what it goes on from. An error ends the run.
    Awaited(BoxFuture<'static, Result<Brief, ApiError>>),
}
