//! All upstreams there are, each made once, and the chains that profiles build from them.

use super::discover;
use super::health::UpstreamHealth;
use super::openai_chat::OpenAiChat;
use super::rehearsal::Rehearsal;
use super::retry::{Candidate, Chain, LearnedWindow};
use super::server::{Server, SetupError};
use super::settings::UpstreamSettings;
use crate::core::failure::{Failure, FailureKind};
use crate::core::ports::upstream::Upstream;
use std::sync::Arc;
use std::time::Duration;

/// The name under which the built-in rehearsal is found, unless a configured upstream has it.
pub const REHEARSAL: &str = "rehearsal";

/// The upstreams by name.
pub struct Registry {
    upstreams: Vec<Entry>,
}

struct Entry {
    name: Arc<str>,
    kind: Kind,
    max_retries: u32,
    base_delay: Duration,
    /// Shared by all chains in which the upstream stands.
    health: Arc<UpstreamHealth>,
}

enum Kind {
    Server(Arc<Server>),
    Rehearsal(Arc<dyn Upstream>),
}

/// A chain that cannot be built; the text says what to change in the profile.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("there is no upstream `{name}`; the configuration has: {known}")]
    Unknown { name: String, known: String },
    #[error("a profile needs one model at least")]
    Empty,
}

/// How one upstream does.
pub struct UpstreamReport<'a> {
    pub name: &'a str,
    /// Without credentials; `None` for the rehearsal, which is no server.
    pub base_url: Option<&'a str>,
    pub health: &'a UpstreamHealth,
}

impl Registry {
    /// Makes a client for each upstream. Connects to none.
    pub fn new(settings: &[UpstreamSettings]) -> Result<Self, SetupError> {
        let mut upstreams = settings.iter().map(Entry::server).collect::<Result<Vec<_>, _>>()?;
        if upstreams.iter().all(|entry| &*entry.name != REHEARSAL) {
            upstreams.push(Entry::rehearsal());
        }
        Ok(Self { upstreams })
    }

    /// The models of a profile, each the fallback of the one before, as (upstream, model).
    pub fn chain(&self, models: &[(&str, &str)]) -> Result<Arc<dyn Upstream>, ChainError> {
        let candidates = models.iter().map(|(name, model)| Ok(self.find(name)?.candidate(model)));
        let mut candidates = candidates.collect::<Result<Vec<_>, ChainError>>()?.into_iter();
        let first = candidates.next().ok_or(ChainError::Empty)?;
        Ok(Arc::new(Chain::new(first, candidates)))
    }

    /// What is known of every upstream, without asking it.
    pub fn report(&self) -> impl Iterator<Item = UpstreamReport<'_>> {
        self.upstreams.iter().map(|entry| UpstreamReport {
            name: &entry.name,
            base_url: match &entry.kind {
                Kind::Server(server) => Some(server.base_url().as_str()),
                Kind::Rehearsal(_) => None,
            },
            health: &entry.health,
        })
    }

    /// Asks an upstream for its models.
    pub async fn models(&self, name: &str, time_limit: Duration) -> Result<Vec<String>, Failure> {
        match self.find(name).map(|entry| &entry.kind) {
            Ok(Kind::Server(server)) => discover::models(server, time_limit).await,
            Ok(Kind::Rehearsal(_)) => Ok(vec![REHEARSAL.to_owned()]),
            Err(error) => Err(Failure::new(FailureKind::UpstreamNotFound, error.to_string())),
        }
    }

    fn find(&self, name: &str) -> Result<&Entry, ChainError> {
        self.upstreams.iter().find(|entry| &*entry.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.upstreams.iter().map(|entry| &*entry.name).collect();
            ChainError::Unknown { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

impl Entry {
    fn server(settings: &UpstreamSettings) -> Result<Self, SetupError> {
        Ok(Self {
            name: settings.name.as_str().into(),
            kind: Kind::Server(Arc::new(Server::new(settings)?)),
            max_retries: settings.max_retries,
            base_delay: settings.retry_base_delay,
            health: Arc::default(),
        })
    }

    fn rehearsal() -> Self {
        Self {
            name: REHEARSAL.into(),
            kind: Kind::Rehearsal(Arc::new(Rehearsal)),
            // It fails only where it is told to, and then it would do so each time.
            max_retries: 0,
            base_delay: Duration::ZERO,
            health: Arc::default(),
        }
    }

    fn candidate(&self, model: &str) -> Candidate {
        Candidate {
            upstream: match &self.kind {
                Kind::Server(server) => Arc::new(OpenAiChat::new(Arc::clone(server), model)),
                Kind::Rehearsal(rehearsal) => Arc::clone(rehearsal),
            },
            name: Arc::clone(&self.name),
            model: model.into(),
            max_retries: self.max_retries,
            base_delay: self.base_delay,
            health: Arc::clone(&self.health),
            window: LearnedWindow::default(),
        }
    }
}
