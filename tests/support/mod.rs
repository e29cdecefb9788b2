//! Starts the real daemon for a test, on a free port with a folder of its own, and ends it with the test.

#![allow(dead_code, reason = "each test crate uses a part of this")]

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub struct Daemon {
    child: Child,
    pub base: String,
    pub folder: TempDir,
}

/// Variables that would lead a daemon of a test to somewhere else than the test wants.
const FOREIGN: &[&str] = &[
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENROUTER_API_KEY",
    "NUNCIO_CONFIG",
    "NUNCIO_DATA_DIR",
    "NUNCIO_LOG",
    "NUNCIO_UPSTREAM_BASE_URL",
    "NUNCIO_UPSTREAM_API_KEY",
    "NUNCIO_UPSTREAM_MODEL",
    "API_SERVER_HOST",
    "API_SERVER_PORT",
    "API_SERVER_KEY",
    "API_SERVER_MODEL_NAME",
    "API_SERVER_CORS_ORIGINS",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
];

/// An upstream of its own keeps a daemon from looking for an Ollama.
pub const REHEARSAL: &str = "upstreams: {default: {kind: rehearsal}}\n";

/// A profile whose commands can write to [`Daemon::shared`] too, as they can to no other folder of a test.
pub const SHARING: &str = "profiles: {nuncio: {write: [shared]}}\n";

/// A folder for a test. Commands of root run as somebody else, who may not pass the folders above a `TMPDIR` that is
/// below, say, `/root`: it is elsewhere then.
pub fn temp() -> TempDir {
    let usual = std::env::temp_dir();
    let is_passable = |folder: &Path| folder.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    let suits = |folder: &Path| folder.canonicalize().is_ok_and(|real| real.ancestors().all(is_passable));
    if !rustix::process::geteuid().is_root() || suits(&usual) {
        return tempfile::tempdir_in(usual).unwrap();
    }
    let others = ["/tmp", "/var/tmp", "/dev/shm"].map(Path::new);
    let made = others.into_iter().filter(|folder| suits(folder)).find_map(|folder| tempfile::tempdir_in(folder).ok());
    made.expect("a temporary folder that every user may pass")
}

impl Daemon {
    /// A folder where commands of the [`SHARING`] profile leave what a test counts.
    pub fn shared(&self) -> PathBuf {
        self.folder.path().join("shared")
    }

    /// The daemon as it is without any upstream: it rehearses.
    pub fn rehearsing() -> Self {
        Self::with(REHEARSAL)
    }

    /// The daemon with a configuration file.
    pub fn with(yaml: &str) -> Self {
        Self::with_environment(yaml, &[])
    }

    pub fn with_environment(yaml: &str, variables: &[(&str, &str)]) -> Self {
        let folder = temp();
        std::fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        // Commands may run as somebody else.
        std::fs::create_dir(folder.path().join("shared")).unwrap();
        std::fs::set_permissions(folder.path().join("shared"), Permissions::from_mode(0o777)).unwrap();
        let mut command = command(folder.path());
        command.envs(variables.iter().copied());
        Self::of(command, folder)
    }

    /// The daemon that a [`command`] in `folder` starts.
    pub fn of(mut command: Command, folder: TempDir) -> Self {
        command.args(["--port", "0"]);
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let base = first.split("serves ").nth(1).and_then(|url| url.strip_suffix("/v1"));
        let Some(base) = base.map(str::to_owned) else {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            panic!("the daemon did not start: {first}\n{log}");
        };
        // Kept open, so that the daemon can go on printing.
        drop(std::thread::Builder::new().spawn(move || lines.for_each(drop)));
        Self { child, base, folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// How large its files may be from now on; no write beyond that succeeds.
    pub fn limit_files(&self, bytes: Option<u64>) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    /// Ends the daemon without a word of warning, and gives back its folder.
    pub fn killed(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, temp())
    }

    /// Waits for the daemon to end by itself.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary in a clean environment, with its data and its home in `folder`.
pub fn command(folder: &Path) -> Command {
    // A test that is started by another one as another user is told where that one can find it.
    let binary = std::env::var_os("NUNCIO_UNDER_TEST").unwrap_or(env!("CARGO_BIN_EXE_nuncio").into());
    command_of(Path::new(&binary), folder)
}

/// The same with a copy of the binary.
#[expect(clippy::disallowed_methods, reason = "the tests start the daemon itself")]
pub fn command_of(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.current_dir(folder).env("HOME", folder).arg("--data-dir").arg(folder.join("data"));
    command
}

/// An HTTP client without a pool, so that a dropped answer is a closed connection.
pub fn client() -> reqwest::Client {
    // A second call finds the provider there, which is what it wants.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap()
}
