//! A daemon that is killed and started again over the same data, and a reader that follows one response through it.

use crate::support::{Daemon, REHEARSAL, SHARING, client, command};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// Longer than anything here should take, so that a hang is a failure and not a wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The data of a daemon, and where its tools count what they do.
pub struct House {
    daemon: Option<Daemon>,
    counts: PathBuf,
}

impl House {
    pub fn new(yaml: &str) -> Self {
        let sharing = if yaml.starts_with("profiles:") { "" } else { SHARING };
        let daemon = Daemon::with(&format!("{REHEARSAL}{sharing}{yaml}"));
        Self { counts: daemon.shared(), daemon: Some(daemon) }
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Kills the daemon, without a word of warning, and starts it again.
    pub fn crash(&mut self) {
        let folder = self.daemon.take().unwrap().killed();
        self.daemon = Some(Daemon::of(command(folder.path()), folder));
    }

    pub fn kill(&mut self) -> TempDir {
        self.daemon.take().unwrap().killed()
    }

    /// Stops the daemon as it should be stopped, and waits for its end.
    pub fn stop(&mut self, signal: rustix::process::Signal) -> TempDir {
        let mut daemon = self.daemon.take().unwrap();
        daemon.signal(signal);
        assert!(daemon.ended().success());
        daemon.killed()
    }

    pub fn start(&mut self, folder: TempDir) {
        self.daemon = Some(Daemon::of(command(folder.path()), folder));
    }

    /// A script whose tools note each of their runs, in a file each.
    pub fn script(&self, name: &str) -> String {
        let note = |tool: &str, rest: &str| format!("run: echo x >> {}/{name}-{tool}{rest}", self.counts.display());
        [
            "think: First I look around, and then".to_owned(),
            "count: 12 4ms".to_owned(),
            note("quick", ""),
            note("slow", "; sleep 0.08"),
            "read: nothing-there".to_owned(),
            "then".to_owned(),
            "shape: fragments".to_owned(),
            "say: That went well, so let me go on".to_owned(),
            note("second", "; sleep 0.02"),
            "then".to_owned(),
            "count: 12 4ms".to_owned(),
            "say: Done with it all".to_owned(),
        ]
        .join("\n")
    }

    /// Where something may be noted.
    pub fn note(&self, name: &str) -> PathBuf {
        self.counts.join(name)
    }

    /// How many times each tool of a script has run.
    pub fn counts(&self, name: &str) -> Vec<usize> {
        ["quick", "slow", "second"].map(|tool| lines(&self.counts.join(format!("{name}-{tool}")))).into()
    }

    pub async fn begin(&self, input: &str, more: Value) -> String {
        let mut body = json!({"model": "nuncio", "input": input, "background": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let response = client().post(self.daemon().url("/v1/responses")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, id: &str) -> Value {
        let response = client().get(self.daemon().url(&format!("/v1/responses/{id}"))).send().await.unwrap();
        assert_eq!(response.status(), 200, "{id} is gone");
        response.json().await.unwrap()
    }
}

/// Waits until something is so.
pub async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it does not come to that");
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// Follows one response, from wherever it was when it lost its connection.
#[derive(Default)]
pub struct Reader {
    /// The frames read so far, each whole.
    pub frames: Vec<String>,
    unread: String,
    pub ended: bool,
}

impl Reader {
    /// Reads on until the stream ends, `enough` frames are there, or the connection breaks.
    pub async fn read(&mut self, house: &House, id: &str, enough: usize) {
        self.unread.clear();
        let after = self.frames.len().checked_sub(1).map_or(String::new(), |last| format!("&starting_after={last}"));
        let url = house.daemon().url(&format!("/v1/responses/{id}?stream=true{after}"));
        let Ok(mut response) = client().get(url).send().await else { return };
        assert_eq!(response.status(), 200, "{id} is gone");
        let reading = async {
            while self.frames.len() < enough && !self.ended {
                let Ok(Some(chunk)) = response.chunk().await else { return };
                self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
                self.take(enough);
            }
        };
        timeout(PATIENCE, reading).await.expect("the stream neither goes on nor ends");
    }

    fn take(&mut self, enough: usize) {
        while self.frames.len() < enough
            && let Some((frame, rest)) = self.unread.split_once("\n\n")
        {
            match frame {
                "data: [DONE]" => self.ended = true,
                comment if comment.starts_with(':') => {}
                frame => self.frames.push(frame.to_owned()),
            }
            self.unread = rest.to_owned();
        }
    }
}

/// A source of moments, the same for the same seed.
pub struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.drawn += 1;
        let mut hash = DefaultHasher::new();
        (self.seed, self.drawn).hash(&mut hash);
        (hash.finish() % end as u64) as usize
    }

    /// Waits a little, which is not a time that anything depends on.
    pub async fn a_while(&mut self, most: usize) {
        sleep(Duration::from_millis(self.below(most) as u64)).await;
    }
}
