//! Sessions: which turns belong together, and the folder they work in.

use crate::core::item::{Item, Origin, ToolCall};
use crate::core::ports::store::{Fingerprint, Store, StoreError};
use crate::core::transcript::trace;
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Bytes of words that are hashed together.
const WORDS: usize = 4096;

/// What a request says about its session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionKey {
    /// The client named it.
    Named(String),
    /// It did not, so the conversation itself tells.
    ByHistory,
    /// The same for a conversation that is stored: its items under the instructions that it began with, which may differ
    /// from those of the run.
    ByOpening(Vec<Arc<Item>>),
    /// That of the run which has handed its task on to this one, so that what one leaves there the other finds.
    Shared(Session),
}

/// The session of one run, found when a tool first needs it: a run that runs no tool touches none.
pub struct SessionFinder {
    pub store: Arc<dyn Store>,
    pub principal: Arc<str>,
    /// The person it is for: what two of them say in the same words is not the same conversation.
    pub user: Option<Arc<str>>,
    pub key: SessionKey,
    /// Where every session has its folder; absolute and without symlinks, as what is found below it must be.
    pub root: Arc<Path>,
    /// A profile's fixed folder instead.
    pub fixed: Option<Arc<Path>>,
    /// The user and group that the folder is for, if these are not the daemon's.
    pub workers: Option<(u32, u32)>,
}

/// A found session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names it among all sessions of all principals.
    pub id: Arc<str>,
    pub workspace: Arc<Path>,
    /// The name to remember under the conversation, where only that can lead back here.
    by_history: Option<String>,
}

impl Session {
    /// One that another run has found.
    pub fn of(id: &Arc<str>, workspace: &Arc<Path>) -> Self {
        Self { id: Arc::clone(id), workspace: Arc::clone(workspace), by_history: None }
    }
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
            (Some(fixed), _) => {
                let id = folder(&self.principal, &format!("fixed\0{}", fixed.display()));
                return enter(id, fixed, self.give(fixed_folder(fixed).await), None);
            }
            (None, SessionKey::Shared(session)) => return Ok(session.clone()),
            (None, SessionKey::Named(name)) => (format!("named\0{name}"), None),
            (None, SessionKey::ByHistory | SessionKey::ByOpening(_)) => {
                let known = self.known(history).await?;
                let name = known.unwrap_or_else(|| format!("made\0{}", Uuid::now_v7()));
                (name.clone(), Some(name))
            }
        };
        let id = folder(&self.principal, &name);
        let path = self.root.join(&id);
        enter(id, &path, self.give(own_folder(&path).await), by_history)
    }

    /// Gives a folder of root's to whom it is for. What is somebody else's was put there by the operator, who can choose;
    /// and what is directly below the root, such as `/srv`, is the system's.
    fn give(&self, made: io::Result<PathBuf>) -> io::Result<PathBuf> {
        let path = made?;
        if let Some((uid, gid)) = self.workers
            && path.components().count() > 2
            && path.symlink_metadata()?.uid() == 0
        {
            lchown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }

    /// The conversation that the session is known by.
    fn opening<'a>(&'a self, history: &'a [Arc<Item>]) -> &'a [Arc<Item>] {
        match &self.key {
            SessionKey::ByOpening(items) => items,
            SessionKey::Named(_) | SessionKey::ByHistory | SessionKey::Shared(_) => history,
        }
    }

    /// The name of a session that only its history leads to, if this history is known.
    async fn known(&self, history: &[Arc<Item>]) -> Result<Option<String>, StoreError> {
        match (&self.fixed, &self.key, self.fingerprint(history, of_client)) {
            (Some(_), _, _) | (_, SessionKey::Named(_) | SessionKey::Shared(_), _) | (_, _, None) => Ok(None),
            (None, _, Some(fingerprint)) => self.store.session(&self.principal, fingerprint).await,
        }
    }

    /// `None` where nothing has been answered yet: all who ask the same would be taken for one.
    fn fingerprint(&self, items: &[Arc<Item>], counts: impl Fn(&ToolCall) -> bool) -> Option<Fingerprint> {
        let mut hash = Sha256::new();
        if let Some(user) = &self.user {
            // As long as any other, so that no words that are said can look like a person.
            hash.update(Sha256::digest(user.as_bytes()));
        }
        // Word by word the hash would be most of the price of a long conversation.
        let mut words = Vec::with_capacity(2 * WORDS);
        let answered = trace(items, counts, |piece| {
            words.extend_from_slice(piece.as_bytes());
            if words.len() >= WORDS {
                hash.update(&words);
                words.clear();
            }
        });
        hash.update(&words);
        answered.then(|| hash.finalize().into())
    }

    /// Lets later turns find the session by its history, once this run's output is part of it, also if this run has
    /// not entered it (`None`).
    pub async fn remember(
        &self,
        session: Option<&Session>,
        history: &[Arc<Item>],
        output: &[Arc<Item>],
    ) -> Result<(), StoreError> {
        let history = self.opening(history);
        let name = match session {
            Some(session) => session.by_history.clone(),
            None => self.known(history).await?,
        };
        let Some(name) = name else { return Ok(()) };
        let items: Vec<Arc<Item>> = history.iter().chain(output).cloned().collect();
        for fingerprint in
            [self.fingerprint(&items, of_client), self.fingerprint(&items, |_| true)].into_iter().flatten()
        {
            self.store.remember_session(&self.principal, fingerprint, name.clone()).await?;
        }
        Ok(())
    }
}

fn enter(
    id: String,
    path: &Path,
    made: io::Result<PathBuf>,
    by_history: Option<String>,
) -> Result<Session, SessionError> {
    match made {
        Ok(workspace) => Ok(Session { id: id.into(), workspace: workspace.into(), by_history }),
        Err(source) => Err(SessionError::Workspace { path: path.to_owned(), source }),
    }
}

/// Where the operator's folder really is: symlinks on the way are theirs.
async fn fixed_folder(path: &Path) -> io::Result<PathBuf> {
    tokio::fs::create_dir_all(path).await?;
    tokio::fs::canonicalize(path).await
}

/// A session's own folder is never anything else. A symlink there is the work of a command, and following it would
/// confine the file tools to wherever it leads.
async fn own_folder(path: &Path) -> io::Result<PathBuf> {
    tokio::fs::create_dir_all(path).await?;
    match tokio::fs::symlink_metadata(path).await?.is_dir() {
        true => Ok(path.to_owned()),
        false => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder")),
    }
}

/// A folder name that tells nothing of its owner and cannot lead anywhere else, whatever the client sent as key.
fn folder(principal: &str, session: &str) -> String {
    let hash = Sha256::new().chain_update(principal).chain_update([0]).chain_update(session).finalize();
    hex::encode(hash.get(..16).unwrap_or(&hash))
}

/// The calls that every client sends back.
fn of_client(call: &ToolCall) -> bool {
    call.origin == Origin::Client
}
