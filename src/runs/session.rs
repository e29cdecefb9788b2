//! Sessions: which turns belong together, and the folder they work in.

use crate::core::item::Item;
use crate::core::ports::store::{Fingerprint, Store, StoreError};
use crate::core::transcript::Opening;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// What a request says about its session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionKey {
    /// The client named it.
    Named(String),
    /// It did not, so the conversation's own opening tells.
    ByHistory,
    /// The same for a conversation that is stored: its items, as they began.
    ByOpening(Vec<Arc<Item>>),
}

/// The session of one run, found when a tool first needs it: a run that runs no tool touches none.
pub struct SessionFinder {
    pub store: Arc<dyn Store>,
    pub principal: Arc<str>,
    pub key: SessionKey,
    /// Where every session has its folder.
    pub root: Arc<Path>,
    /// A profile's fixed folder instead.
    pub fixed: Option<Arc<Path>>,
}

/// A found session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub workspace: Arc<Path>,
    /// The name to remember under the conversation's opening, where only that can lead back here.
    by_history: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the workspace {path} cannot be made: {source}")]
    Workspace { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionFinder {
    /// Finds or begins the session and makes its folder. `history` is the run's input.
    pub async fn find(&self, history: &[Arc<Item>]) -> Result<Session, SessionError> {
        let history = self.opening(history);
        let (name, by_history) = match (&self.fixed, &self.key) {
            (Some(fixed), _) => return make(fixed, None).await,
            (None, SessionKey::Named(name)) => (format!("named\0{name}"), None),
            (None, SessionKey::ByHistory | SessionKey::ByOpening(_)) => {
                let opening = Opening::of(history);
                let known = match &opening.answer {
                    Some(_) => self.store.session(&self.principal, fingerprint(&opening)).await?,
                    None => None,
                };
                let name = known.unwrap_or_else(|| format!("made\0{}", Uuid::now_v7()));
                (name.clone(), Some(name))
            }
        };
        make(&self.root.join(folder(&self.principal, &name)), by_history).await
    }

    fn opening<'a>(&'a self, history: &'a [Arc<Item>]) -> &'a [Arc<Item>] {
        match &self.key {
            SessionKey::ByOpening(items) => items,
            SessionKey::Named(_) | SessionKey::ByHistory => history,
        }
    }

    /// Lets later turns find the session by its history, once this run's output is part of it.
    pub async fn remember(
        &self,
        session: &Session,
        history: &[Arc<Item>],
        output: &[Arc<Item>],
    ) -> Result<(), StoreError> {
        let Some(name) = &session.by_history else { return Ok(()) };
        let items: Vec<Arc<Item>> = self.opening(history).iter().chain(output).cloned().collect();
        for opening in Opening::as_returned(&items) {
            self.store.remember_session(&self.principal, fingerprint(&opening), name.clone()).await?;
        }
        Ok(())
    }
}

async fn make(path: &Path, by_history: Option<String>) -> Result<Session, SessionError> {
    let made = async {
        tokio::fs::create_dir_all(path).await?;
        tokio::fs::canonicalize(path).await
    };
    match made.await {
        Ok(workspace) => Ok(Session { workspace: workspace.into(), by_history }),
        Err(source) => Err(SessionError::Workspace { path: path.to_owned(), source }),
    }
}

/// A folder name that tells nothing of its owner and cannot lead anywhere else, whatever the client sent as key.
fn folder(principal: &str, session: &str) -> String {
    let hash = Sha256::new().chain_update(principal).chain_update([0]).chain_update(session).finalize();
    hex::encode(hash.get(..16).unwrap_or(&hash))
}

fn fingerprint(opening: &Opening) -> Fingerprint {
    let mut hash = Sha256::new();
    for text in [&opening.system, &opening.question, opening.answer.as_ref().unwrap_or(&String::new())] {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}
