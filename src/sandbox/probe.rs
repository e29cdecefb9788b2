//! Finds out what this machine enforces, by trying each layer by itself.

use std::env::temp_dir;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::layers::system;
use super::policy::{Broken, Layer, Policy, UserIds};
use super::protocol::Answer;
use super::{Command, Streams, Supervisor};

/// A shell that does nothing needs milliseconds; a layer that hangs does not work.
const LIMIT: Duration = Duration::from_secs(10);

impl Supervisor {
    /// The layers that cannot be put on here. Each is tried around a command that does nothing, in a folder that is
    /// made for it among the temporary files or else in `other`.
    pub async fn probe(&self, user: Option<UserIds>, other: &Path) -> io::Result<Broken> {
        let name = format!("nuncio-{}", Uuid::now_v7().simple());
        let mut folder = temp_dir().join(&name);
        if tokio::fs::create_dir(&folder).await.is_err() {
            folder = other.join(name);
            tokio::fs::create_dir(&folder).await?;
        }
        let tried = futures_util::future::join_all(Layer::ALL.map(|layer| self.try_layer(layer, user, &folder))).await;
        // The system empties that folder as well.
        let _ = tokio::fs::remove_dir_all(&folder).await;
        let broken = Layer::ALL.into_iter().zip(tried).filter_map(|(layer, tried)| Some((layer, tried.err()?)));
        Ok(broken.collect())
    }

    async fn try_layer(&self, layer: Layer, user: Option<UserIds>, folder: &Path) -> Result<(), String> {
        let supervisor = self.under(Policy::only(layer, user));
        let command = Command {
            program: system::SHELL.to_owned(),
            args: vec!["-c".to_owned(), ":".to_owned()],
            cwd: folder.to_owned(),
            env: Vec::new(),
        };
        let run = async {
            let (streams, _output) = Streams::combined()?;
            let mut running = supervisor.spawn(&command, streams).await?;
            running.answer().await
        };
        match timeout(LIMIT, run).await {
            Ok(Ok(Some(Answer::Exit(0)))) => Ok(()),
            Ok(Ok(Some(Answer::Refused(_, reason) | Answer::Error(reason)))) => Err(reason),
            Ok(Ok(Some(Answer::Exit(code)))) => Err(format!("a shell that does nothing ended with exit code {code}")),
            Ok(Ok(Some(Answer::Signal(signal)))) => {
                Err(format!("a shell that does nothing was killed by signal {signal}"))
            }
            Ok(Ok(None)) => Err("its supervisor ended".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).to_string()),
        }
    }
}
